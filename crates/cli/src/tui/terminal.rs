//! The terminal itself: taken over for as long as this lives, and given back as it was, whatever
//! happens.

use std::{
    io::{self, IsTerminal as _, Stdout, Write as _},
    panic,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, bail};
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor, event, execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};
use tokio::sync::Notify;

/// The terminal, taken over.
pub(super) struct Screen {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
    /// Something has panicked: what was shown is gone, and the program is to end.
    pub(super) broken: Arc<Notify>,
}

/// Whether the terminal is taken over now, so that it is given back once.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

impl Screen {
    /// Takes the terminal over.
    pub(super) fn take() -> anyhow::Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            bail!("`conclave chat` needs a terminal; `conclave help` shows the other commands");
        }
        if std::env::var("TERM").is_ok_and(|term| term == "dumb") {
            bail!(
                "this terminal (TERM=dumb) can't show a full screen; `conclave read --follow` and \
                 `conclave send` work in it"
            );
        }
        let broken = Arc::new(Notify::new());
        give_back_on_panic(&broken);
        enable_raw_mode().context("can't take over the terminal")?;
        IS_TAKEN.store(true, Ordering::SeqCst);
        // From here on, dropping it gives the terminal back.
        let screen = Self {
            terminal: Terminal::new(CrosstermBackend::new(io::stdout()))?,
            broken,
        };
        execute!(
            io::stdout(),
            EnterAlternateScreen,
            event::EnableBracketedPaste,
            event::EnableFocusChange
        )?;
        Ok(screen)
    }

    /// Makes it ring.
    pub(super) fn ring(&mut self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(b"\x07")?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back. Where that fails there is nobody left to be told.
fn give_back() {
    if !IS_TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = execute!(
        io::stdout(),
        event::DisableFocusChange,
        event::DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    let _ = disable_raw_mode();
}

/// Whatever part of the program panics, what it says is to be read.
fn give_back_on_panic(broken: &Arc<Notify>) {
    let (before, broken) = (panic::take_hook(), Arc::clone(broken));
    panic::set_hook(Box::new(move |info| {
        give_back();
        before(info);
        broken.notify_one();
    }));
}
