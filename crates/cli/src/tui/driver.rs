//! Goes round: something happens, the model takes it in, the screen is drawn, and what is to be done
//! is begun. Nothing is waited for but the next thing that happens.

use std::time::{Duration, SystemTime};

use anyhow::bail;
use conclave_client::{Client, UnixMillis};
use ratatui::crossterm::event::{Event as Input, EventStream};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;

use super::{
    event::{Effect, Event, Load},
    loads::Loads,
    model::Model,
    person::Person,
    register::{self, Asked},
    terminal::Screen,
    update::update,
    view::view,
};

/// Events that may wait to be taken in before those who tell of them wait.
const QUEUE: usize = 256;

/// How often what depends on the time is looked at.
const MOMENT: Duration = Duration::from_millis(500);

/// Drives the terminal until the person ends it.
pub(super) async fn drive(
    screen: &mut Screen,
    model: Model,
    client: Option<Client>,
    asked: Asked,
) -> anyhow::Result<()> {
    let (sender, queue) = mpsc::channel(QUEUE);
    let mut driver = Driver {
        screen,
        model,
        person: None,
        loads: Loads::default(),
        asked,
        sender,
    };
    if let Some(client) = client {
        driver.opened(client);
    }
    driver.run(queue).await
}

/// Something for the driver itself, or for the model.
pub(super) enum Told {
    Event(Event),
    /// An account was made.
    Registered(Client),
    /// What was read; the same may be read again now.
    Loaded(Load, Event),
}

struct Driver<'s> {
    screen: &'s mut Screen,
    model: Model,
    person: Option<Person>,
    loads: Loads,
    asked: Asked,
    sender: mpsc::Sender<Told>,
}

impl Driver<'_> {
    async fn run(&mut self, mut queue: mpsc::Receiver<Told>) -> anyhow::Result<()> {
        let mut input = EventStream::new();
        let mut moments = tokio::time::interval(MOMENT);
        let mut signals = super::signals::Signals::listen()?;
        let size = self.screen.terminal.size()?;
        self.step(Event::Resized(size.width, size.height))?;
        loop {
            let goes_on = tokio::select! {
                () = self.screen.broken.notified() => bail!("the program has a bug; nothing is lost"),
                () = signals.end() => return Ok(()),
                read = input.next() => match read {
                    Some(read) => self.input(read?)?,
                    None => return Ok(()),
                },
                Some(told) = queue.recv() => self.told(told)?,
                _ = moments.tick() => self.step(Event::Tick)?,
            };
            if !goes_on {
                return Ok(());
            }
            // What is there already is taken in before anything is drawn.
            for _ in 0..QUEUE {
                let Ok(told) = queue.try_recv() else { break };
                if !self.told(told)? {
                    return Ok(());
                }
            }
            self.draw()?;
        }
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        let screen = &mut self.screen.terminal;
        // It may have been resized before anybody said so.
        let size = screen.size()?;
        self.model.size = (size.width, size.height);
        screen.draw(|frame| view(&self.model, frame))?;
        Ok(())
    }

    fn input(&mut self, input: Input) -> anyhow::Result<bool> {
        self.step(match input {
            Input::Key(key) => Event::Key(key),
            Input::Paste(text) => Event::Paste(text),
            Input::Resize(columns, lines) => Event::Resized(columns, lines),
            Input::FocusGained => Event::Focus(true),
            Input::FocusLost => Event::Focus(false),
            Input::Mouse(_) => return Ok(true),
        })
    }

    fn told(&mut self, told: Told) -> anyhow::Result<bool> {
        match told {
            Told::Event(event) => self.step(event),
            Told::Registered(client) => {
                self.opened(client);
                Ok(true)
            }
            Told::Loaded(load, event) => {
                if let (Some(next), Some(person)) = (self.loads.ended(&load), &self.person) {
                    person.load(next);
                }
                self.step(event)
            }
        }
    }

    fn opened(&mut self, client: Client) {
        let user = client.user().clone();
        self.person = Some(Person::new(client, self.sender.clone()));
        // The queue is this one's own, and what it holds is taken in below.
        let effects = update(&mut self.model, Event::Opened(user), now());
        for effect in effects {
            if let Effect::Load(load) = effect {
                self.load(load);
            }
        }
    }

    /// Takes in what happened and begins what is to be done. `false` ends the program.
    fn step(&mut self, event: Event) -> anyhow::Result<bool> {
        for effect in update(&mut self.model, event, now()) {
            match effect {
                Effect::Quit => return Ok(false),
                Effect::Redraw => self.screen.terminal.clear()?,
                Effect::Ring => self.screen.ring()?,
                Effect::Load(load) => self.load(load),
                Effect::Register {
                    server,
                    name,
                    code,
                    passphrase,
                } => {
                    let asked = self.asked.with(server, name, code, passphrase);
                    register::begin(asked, self.sender.clone());
                }
                other => {
                    if let Some(person) = &mut self.person {
                        person.begin(other);
                    }
                }
            }
        }
        Ok(true)
    }

    fn load(&mut self, load: Load) {
        if let Some(person) = &self.person
            && self.loads.begins(&load)
        {
            person.load(load);
        }
    }
}

pub(super) fn now() -> UnixMillis {
    UnixMillis::from(SystemTime::now())
}
