//! `conclave chat`: a full-screen chat.
//!
//! In the middle is a [`Model`], all that the terminal knows. Whatever happens (a key, news from the
//! service, the end of something that was wanted) is an [`Event`](event::Event);
//! [`update`](update::update) takes it in and gives the [`Effect`](event::Effect)s that are to come of
//! it; [`view`](view::view) draws the model. None of them knows a clock, a terminal or the network, so
//! that tests play both sides. The [`driver`] does: it reads keys, asks the library, and never waits
//! for either with the other.
//!
//! Nothing of a history is kept here but the [`window`](window::Window) that is read; it is read again
//! from the local database whenever it may have changed.

mod actions;
mod chat;
mod command;
mod complete;
mod driver;
mod editor;
mod event;
mod guide;
mod layout;
mod loads;
mod look;
mod model;
mod person;
mod reading;
mod register;
mod room;
mod rows;
mod scroll;
mod signals;
mod terminal;
#[cfg(test)]
mod tests;
mod text;
mod update;
mod verbs;
mod view;
mod window;

use conclave_client::{Client, ClientError, Home, HomeState};

use self::{
    chat::Chat,
    guide::Guide,
    look::Look,
    model::{Model, Stage},
    register::Asked,
    terminal::Screen,
};
use crate::{args, chat::registration};

/// Chats until the person ends it. Where the home has no account, the first run asks for one, and
/// suggests what was said on the command line.
pub(crate) async fn run(home: &Home, wanted: args::Chat) -> anyhow::Result<()> {
    let server = wanted.server.unwrap_or_default();
    let registration = registration(server, wanted.ca, wanted.code)?;
    let client = match Client::open(home) {
        Ok(client) => Some(client),
        Err(ClientError::NotRegistered) => None,
        Err(error) => return Err(error.into()),
    };
    let mut screen = Screen::take()?;
    let now = driver::now();
    let name = wanted.name.unwrap_or_default();
    let mut guide = Guide::new(home.folder().to_owned(), &registration.server, &name);
    if home.state()? == HomeState::Empty && !home.has_passphrase() {
        guide.ask_for_passphrase();
    }
    let model = Model {
        stage: match &client {
            Some(client) => Stage::Chat(Box::new(Chat::new(client.user().clone(), now))),
            None => Stage::Guide(Box::new(guide)),
        },
        look: Look::of_environment(),
        now,
        size: (0, 0),
    };
    let asked = Asked {
        home: home.clone(),
        name,
        registration,
    };
    driver::drive(&mut screen, model, client, asked).await
}
