//! Makes an account, as the first run asks.

use conclave_client::{Client, ClientError, Home, Passphrase, Registration};
use tokio::sync::mpsc;

use super::{
    driver::Told,
    event::{Event, Refusal},
    guide::Field,
};

/// What is wanted of the server, as far as it is known.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) home: Home,
    pub(super) name: String,
    pub(super) registration: Registration,
}

impl Asked {
    pub(super) fn with(
        &self,
        server: String,
        name: String,
        code: Option<String>,
        passphrase: Option<Passphrase>,
    ) -> Self {
        let mut asked = self.clone();
        if let Some(passphrase) = passphrase {
            asked.home = asked.home.locked_by(passphrase);
        }
        asked.name = name;
        asked.registration.server = server;
        asked.registration.code = code.or(asked.registration.code);
        asked
    }
}

pub(super) fn begin(asked: Asked, sender: mpsc::Sender<Told>) {
    tokio::spawn(async move {
        let made = Client::register_with(&asked.home, &asked.name, &asked.registration).await;
        let told = match made {
            Ok(client) => Told::Registered(client),
            Err(error) => Told::Event(Event::NotRegistered(refusal(&error))),
        };
        // Nobody listens once the program ends.
        let _ = sender.send(told).await;
    });
}

fn refusal(error: &ClientError) -> Refusal {
    let (about, hint) = match error {
        ClientError::Unreachable { .. } => (
            Field::Server,
            ". Is it running? `conclave serve` starts one on this machine",
        ),
        ClientError::ServerUrl(_) | ClientError::Authority => (Field::Server, ""),
        ClientError::NameTaken(_) => (Field::Name, "; choose another"),
        ClientError::Id(_) => (Field::Name, ""),
        ClientError::CodeRefused(_) => (
            Field::Code,
            ". Whoever runs the server makes one with `conclave admin invite`",
        ),
        _ => {
            let text = error.to_string();
            return Refusal { text, about: None };
        }
    };
    Refusal {
        text: format!("{error}{hint}"),
        about: Some(about),
    }
}
