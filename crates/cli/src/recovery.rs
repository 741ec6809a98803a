//! The recovery phrase, and coming back with it.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use conclave_client::{Client, Home, Recovery as With, RecoveryPhrase, Registration};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    args::Recovery,
    chat::sync,
    output::{Output, warning},
    passphrase,
};

/// Words in one line of a phrase.
const WORDS_IN_LINE: usize = 4;

/// Room for a phrase as it is read, so that no copy stays behind where it would have to grow: more
/// than anybody writes in 24 words of at most eight letters.
const PHRASE_ROOM_BYTES: usize = 1024;

/// Words in a phrase: reading ends with the last of them.
const WORDS: usize = 24;

pub(crate) async fn run(home: &Home, command: &Recovery, output: &Output) -> anyhow::Result<()> {
    match command {
        Recovery::Show => {
            let phrase = Client::open(home)?.recovery_phrase().await?;
            warning(
                "whoever has these words can be you, for good. Write them on paper; keep them out \
                 of pictures, messages and other computers.",
            );
            let words = phrase.words();
            output.show(&table(&words), &json!({ "phrase": words.join(" ") }))?;
            Ok(())
        }
    }
}

/// Makes a device that takes the place of lost ones.
pub(crate) async fn recover(
    home: &Home,
    name: String,
    registration: &Registration,
    revokes_others: bool,
    output: &Output,
) -> anyhow::Result<()> {
    let recovery = With {
        name,
        phrase: ask()?,
        revokes_others,
    };
    let client = Client::recover(home, registration, &recovery).await?;
    let (user, device) = (client.user().to_string(), client.device().to_string());
    let value = json!({ "user": user, "device": device });
    output.show(&format!("this is now a device of {user}"), &value)?;
    sync(&client).await?;
    let groups = client.groups().await?.len();
    output.remark(&format!(
        "you are back in {groups} groups; `conclave group list` shows them"
    ))?;
    passphrase::remark(home, output)?;
    Ok(())
}

fn table(words: &[&str]) -> String {
    let lines = words.chunks(WORDS_IN_LINE).zip(0..).map(|(line, number)| {
        let words = line.iter().zip(number * WORDS_IN_LINE + 1..);
        let words = words.map(|(word, at)| format!("{at:>2}. {word:<10}"));
        words.collect::<String>().trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Reads a phrase from the standard input, over as many lines as it is written in.
fn ask() -> anyhow::Result<RecoveryPhrase> {
    if io::stdin().is_terminal() {
        let mut stream = io::stderr().lock();
        writeln!(stream, "Your recovery phrase, {WORDS} words:")?;
    }
    let mut text = Zeroizing::new(String::with_capacity(PHRASE_ROOM_BYTES));
    for line in io::stdin().lock().lines() {
        text.push_str(&Zeroizing::new(line?));
        text.push('\n');
        if words_in(&text) >= WORDS {
            break;
        }
    }
    Ok(text.parse()?)
}

fn words_in(text: &str) -> usize {
    let words = text.split(|c: char| !c.is_alphabetic());
    words.filter(|word| !word.is_empty()).count()
}
