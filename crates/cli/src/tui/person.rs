//! The person's device at the library: everything that takes time is done beside the screen, and tells
//! of its end.

use std::{path::PathBuf, time::Duration};

use conclave_client::{Client, ClientError, GroupId, Message, WaitingId};
use tokio::sync::mpsc;

use super::{
    actions,
    driver::Told,
    event::{Effect, Event, Load, Progress},
    reading::read,
};

/// After how long the library is asked to go on where something kept it from that.
const AGAIN: Duration = Duration::from_secs(5);

/// A device, and whom it tells.
pub(super) struct Person {
    teller: Teller,
    /// Messages go into the outbox one after the other, in the order in which they were said.
    said: mpsc::UnboundedSender<Said>,
}

/// What everything that is done beside the screen needs.
#[derive(Clone)]
pub(super) struct Teller {
    pub(super) client: Client,
    sender: mpsc::Sender<Told>,
}

struct Said {
    group: GroupId,
    local: u64,
    message: Message,
    file: Option<PathBuf>,
}

impl Teller {
    pub(super) async fn tell(&self, event: Event) {
        // Nobody listens once the program ends.
        let _ = self.sender.send(Told::Event(event)).await;
    }

    async fn goes(&self, group: GroupId, local: u64, progress: Progress) {
        self.tell(Event::Outgoing(group, local, progress)).await;
    }
}

impl Person {
    pub(super) fn new(client: Client, sender: mpsc::Sender<Told>) -> Self {
        let teller = Teller { client, sender };
        // Bounded by how fast somebody types.
        let (said, queue) = mpsc::unbounded_channel();
        tokio::spawn(follow(teller.clone()));
        tokio::spawn(keep_in_order(teller.clone(), queue));
        Self { teller, said }
    }

    /// Begins what a step of the terminal wants done.
    pub(super) fn begin(&self, effect: Effect) {
        let teller = self.teller.clone();
        match effect {
            Effect::Send {
                group,
                local,
                message,
                file,
            } => {
                let said = Said {
                    group,
                    local,
                    message,
                    file,
                };
                // The other end lives as long as the program.
                let _ = self.said.send(said);
            }
            Effect::Settle { group, local, id } => {
                tokio::spawn(settle(teller, group, local, id));
            }
            Effect::Do(action) => {
                tokio::spawn(async move {
                    let event = match actions::run(&teller.client, action).await {
                        Ok(done) => Event::Done(done),
                        Err(reason) => Event::Failed(reason),
                    };
                    teller.tell(event).await;
                });
            }
            Effect::MarkRead(group, up_to) => {
                tokio::spawn(async move {
                    // What could not be noted is noted with the next message.
                    let _ = teller.client.mark_read(group, up_to).await;
                    teller.tell(Event::Marked(group)).await;
                });
            }
            Effect::Typing(group) => {
                tokio::spawn(async move {
                    // It is of this moment, or not at all.
                    let _ = teller.client.typing(group).await;
                });
            }
            Effect::Register { .. }
            | Effect::Load(_)
            | Effect::Ring
            | Effect::Redraw
            | Effect::Quit => {}
        }
    }

    /// Reads something from the local database.
    pub(super) fn load(&self, load: Load) {
        let teller = self.teller.clone();
        tokio::spawn(async move {
            let event = match read(&teller.client, &load).await {
                Ok(event) => event,
                Err(error) => Event::NotRead(error.to_string()),
            };
            // Nobody listens once the program ends.
            let _ = teller.sender.send(Told::Loaded(load, event)).await;
        });
    }
}

/// Tells of everything that happens, for as long as the program runs.
async fn follow(teller: Teller) {
    loop {
        let mut events = teller.client.events();
        while let Some(event) = events.next().await {
            teller
                .tell(match event {
                    Ok(event) => Event::News(event),
                    Err(error) => Event::Stopped(error.to_string()),
                })
                .await;
        }
        if teller.sender.is_closed() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn keep_in_order(teller: Teller, mut queue: mpsc::UnboundedReceiver<Said>) {
    while let Some(said) = queue.recv().await {
        let (group, local) = (said.group, said.local);
        if said.file.is_some() {
            // A large file holds nothing else up.
            let teller = teller.clone();
            tokio::spawn(async move {
                let kept = with_file(&teller, said).await;
                teller.goes(group, local, kept).await;
            });
            continue;
        }
        let kept = teller.client.keep(group, said.message).await;
        teller.goes(group, local, progress(kept)).await;
    }
}

async fn with_file(teller: &Teller, said: Said) -> Progress {
    let Some(file) = said.file else {
        return progress(teller.client.keep(said.group, said.message).await);
    };
    let (group, local) = (said.group, said.local);
    let (percents, mut heard) = mpsc::channel(1);
    let upload = teller.client.upload(group, &file, "", |done| {
        let percent = done.done.saturating_mul(100).checked_div(done.total);
        // Where the last one was not shown yet, this one need not be.
        let _ = percents.try_send(u8::try_from(percent.unwrap_or(0)).unwrap_or(100));
    });
    tokio::pin!(upload);
    let uploaded = loop {
        tokio::select! {
            uploaded = &mut upload => break uploaded,
            Some(percent) = heard.recv() => {
                teller.goes(group, local, Progress::Uploaded(percent)).await;
            }
        }
    };
    match uploaded {
        Ok(attachment) => {
            let message = said.message.attach(attachment);
            progress(teller.client.keep(group, message).await)
        }
        Err(error) => Progress::Failed(error.to_string()),
    }
}

fn progress(kept: Result<WaitingId, ClientError>) -> Progress {
    match kept {
        Ok(id) => Progress::Kept(id),
        Err(error) => Progress::Failed(error.to_string()),
    }
}

/// Waits until a message is in the log.
async fn settle(teller: Teller, group: GroupId, local: u64, id: WaitingId) {
    let landed = teller.client.landed(group, id).await;
    let progress = match landed {
        Ok(receipt) => Progress::Landed(receipt.sequence),
        Err(ClientError::GivenUp(reason)) => Progress::Failed(reason),
        // Everything else is tried again with the next connection.
        Err(_) => Progress::Waits,
    };
    teller.goes(group, local, progress).await;
}
