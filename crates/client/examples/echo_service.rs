//! An echo service, as one runs for months: its home is under a passphrase, it says in its log what
//! happens, keeps going where one group does not, and ends when it is told to.
//!
//! `CONCLAVE_PASSPHRASE=.. cargo run -p conclave-client --example echo_service -- URL HOME`

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::env;

use conclave_client::{Client, ClientError, Entry, Event, Home, Message, Registration};
use tokio_stream::{Stream, StreamExt as _};

#[tokio::main]
async fn main() -> Result<(), ClientError> {
    let mut words = env::args().skip(1);
    let server = words.next().unwrap_or("http://127.0.0.1:4400".to_owned());
    let mut home = Home::at(words.next().unwrap_or("echo-home".to_owned()));
    if let Ok(passphrase) = env::var("CONCLAVE_PASSPHRASE") {
        home = home.locked_by(passphrase.parse()?);
    }
    let echo = Client::open_or_register(home, "echo", &Registration::at(&server)).await?;
    println!("{} listens", echo.user());
    let end = async {
        // Without signals, the service ends with its process.
        let _ = tokio::signal::ctrl_c().await;
    };
    tokio::select! {
        ended = serve(&echo) => ended,
        () = end => Ok(()),
    }
}

pub(crate) async fn serve(echo: &Client) -> Result<(), ClientError> {
    let mut news = std::pin::pin!(worth_answering(echo));
    while let Some(entry) = news.next().await {
        let entry = entry?;
        match answer(echo, &entry).await {
            // It is kept, and goes out when the server is back.
            Ok(()) | Err(ClientError::Unreachable { .. }) => {}
            // That one group takes no message is not the others' fault.
            Err(error) => eprintln!("an answer was not sent: {error}"),
        }
    }
    Ok(())
}

/// What others say, of all that happens.
fn worth_answering(echo: &Client) -> impl Stream<Item = Result<Entry, ClientError>> {
    let own = echo.user().clone();
    echo.events().filter_map(move |event| match event {
        // What the service says itself comes in the log too.
        Ok(Event::Entry(entry)) if entry.author != own && entry.text().is_some() => Some(Ok(entry)),
        Ok(Event::Joined(group)) => {
            println!("somebody added the service to {group}");
            None
        }
        Ok(Event::Disconnected) => {
            println!("the connection is lost; it is made again");
            None
        }
        Ok(Event::Refused { reason, .. }) => {
            println!("an invitation was not accepted: {reason}");
            None
        }
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

async fn answer(echo: &Client, entry: &Entry) -> Result<(), ClientError> {
    if let Some(said) = entry.message() {
        let answer = Message::text(said.text()).reply_to(said.id);
        echo.send(entry.group, answer).await?;
    }
    echo.mark_read(entry.group, entry.sequence).await
}
