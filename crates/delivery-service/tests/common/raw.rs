//! A client that is nothing but HTTP/2, so that no library keeps to the rules for it.

use std::{net::SocketAddr, time::Duration};

use conclave_rpc::{AUTHORIZATION, BEARER};
use h2::{RecvStream, client};
use prost::Message;
use tokio::{net::TcpStream, time::timeout};
use tonic::codegen::{Bytes, http};

/// One connection.
pub struct Raw {
    address: SocketAddr,
    send: client::SendRequest<Bytes>,
}

impl Raw {
    /// Connects, with so many bytes that the server may send before this has read them.
    pub async fn connect(address: SocketAddr, window: u32) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut builder = client::Builder::new();
        builder.initial_window_size(window);
        let (send, connection) = builder.handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self { address, send }
    }

    /// Asks for a method with headers of one's own, and gives the answer as far as it has come.
    pub async fn ask(
        &mut self,
        method: &str,
        token: &str,
        headers: &[(&str, &str)],
        message: &impl Message,
    ) -> http::Response<RecvStream> {
        let mut request = http::Request::builder()
            .method("POST")
            .uri(format!(
                "http://{}/conclave.delivery.v1.DeliveryService/{method}",
                self.address
            ))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header(AUTHORIZATION, format!("{BEARER}{token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (answer, mut body) = self
            .send
            .send_request(request.body(()).unwrap(), false)
            .unwrap();
        let message = message.encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let framed = [&[0][..], &length, &message].concat();
        body.send_data(framed.into(), true).unwrap();
        answer.await.unwrap()
    }

    /// Whether the connection ends within a time.
    pub async fn ends_within(self, patience: Duration) -> bool {
        let ended = async {
            loop {
                let ready = self.send.clone().ready().await;
                if ready.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(patience, ended).await.is_ok()
    }
}
