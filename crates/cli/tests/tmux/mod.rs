//! A terminal in tmux, and a link that takes its time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs
)]

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// How long something may take to show: these tests run beside many others.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the screen is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Whether there is a tmux to test with.
pub fn is_there() -> bool {
    if Command::new("tmux").arg("-V").output().is_ok() {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none_or(|it| it != "true"),
        "tmux is not installed"
    );
    eprintln!("skipped: tmux is not installed");
    false
}

/// A terminal of its own server, with `conclave chat` in it.
pub struct Screen {
    socket: String,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Screen {
    pub fn open(home: &Path, columns: u16, lines: u16, environment: &[(&str, &str)]) -> Self {
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let screen = Self {
            socket: format!("conclave-test-{}-{number}", std::process::id()),
        };
        let set = environment.iter();
        let set: String = set
            .map(|(name, value)| format!("{name}={value} "))
            .collect();
        let shell = format!(
            "cd '{}' && env -u NO_COLOR -u CONCLAVE_HOME LC_ALL=C.UTF-8 {set} '{}' --home '{}' chat; \
             echo ended with $?; exec sh",
            home.parent().unwrap().display(),
            env!("CARGO_BIN_EXE_conclave"),
            home.file_name().unwrap().display()
        );
        let (columns, lines) = (columns.to_string(), lines.to_string());
        screen.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            &lines,
            "sh",
            "-c",
            &shell,
            ";",
            "set",
            "-g",
            "status",
            "off",
            ";",
            "set",
            "-g",
            "default-terminal",
            "screen-256color",
            ";",
            "set",
            "-s",
            "escape-time",
            "0",
        ]);
        screen
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-u", "-L", &self.socket])
            .args(args)
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", "--", text]);
    }

    pub fn key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    pub fn enters(&self, text: &str) {
        self.types(text);
        self.key("Enter");
    }

    pub fn resize(&self, columns: u16, lines: u16) {
        let (columns, lines) = (columns.to_string(), lines.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &lines]);
    }

    /// What stands on the screen.
    pub fn shown(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    pub fn shown_with_escapes(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Waits until this stands on the screen.
    pub fn sees(&self, text: &str) {
        self.waits(text, |shown| shown.contains(text));
    }

    /// Waits until this stands there no longer.
    pub fn sees_no_more(&self, text: &str) {
        self.waits(text, |shown| !shown.contains(text));
    }

    fn waits(&self, text: &str, is: impl Fn(&str) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            let shown = self.shown();
            if is(&shown) {
                return;
            }
            assert!(
                Instant::now() < until,
                "waited for {text:?} in vain:\n{shown}"
            );
            thread::sleep(LOOK);
        }
    }

    /// Sends a signal to the program.
    pub fn signal(&self, name: &str) {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"]);
        let shell = shell.trim();
        let children = format!("/proc/{shell}/task/{shell}/children");
        let children = std::fs::read_to_string(children).unwrap();
        let sent = Command::new("kill")
            .args(["-s", name, children.trim()])
            .status()
            .unwrap();
        assert!(sent.success(), "kill {name} {children:?}");
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.shown());
        }
        let _ = Command::new("tmux")
            .args(["-L", &self.socket, "kill-server"])
            .output();
    }
}

/// Whether anything is coloured; bold, dim and reversed are not.
pub fn has_colour(shown: &str) -> bool {
    let sequences = shown.split("\u{1b}[").skip(1);
    let mut parameters = sequences.flat_map(|it| {
        let end = it.find('m').unwrap_or(0);
        it[..end].split(';').filter_map(|it| it.parse::<u16>().ok())
    });
    parameters.any(|it| (30..=38).contains(&it) || (40..=48).contains(&it) || it >= 90)
}

/// A link on which everything takes its time, in both directions.
pub struct SlowLink {
    address: String,
}

impl SlowLink {
    pub fn to(address: &str, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = Self {
            address: listener.local_addr().unwrap().to_string(),
        };
        let address = address.to_owned();
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                // Where the server is away, so is the link.
                let Ok(server) = TcpStream::connect(&address) else {
                    continue;
                };
                pass(&client, &server, delay);
                pass(&server, &client, delay);
            }
        });
        link
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Passes on what comes, each part as late as the link is slow.
fn pass(from: &TcpStream, to: &TcpStream, delay: Duration) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let (sender, parts) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let part = buffer[..count].to_vec();
            if sender.send((Instant::now() + delay, part)).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, part) in parts {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&part).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
