//! A bot in 30 lines: it tosses a coin where somebody asks for it.
//!
//! `cargo run -p conclave-client --example bot -- http://127.0.0.1:4400`

#![allow(clippy::print_stdout)]

use conclave_client::{Client, ClientError, Event, Message, Registration};

#[tokio::main]
async fn main() -> Result<(), ClientError> {
    let server = std::env::args().nth(1);
    let server = Registration::at(server.as_deref().unwrap_or("http://127.0.0.1:4400"));
    let bot = Client::open_or_register("coin-home", "coin", &server).await?;
    println!("{} is here; add it to a group and say !toss", bot.user());
    run(bot).await
}

pub(crate) async fn run(bot: Client) -> Result<(), ClientError> {
    let mut events = bot.events();
    while let Some(event) = events.next().await {
        if let Event::Entry(entry) = event?
            && let Some(asked) = entry.message()
            && asked.text() == "!toss"
        {
            let side = ["heads", "tails"][usize::from(asked.id.as_bytes()[0] & 1)];
            let answer = Message::text(side).reply_to(asked.id);
            bot.send(entry.group, answer).await?;
        }
    }
    Ok(())
}
