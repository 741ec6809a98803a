//! A history as rows of lines.

mod remarks;

use conclave_client::{Entry, EntryKind, Posted, Sequence, UnixMillis, UserId};
use indicatif::HumanBytes;
use ratatui::{
    style::Style,
    text::{Line, Span},
};

use self::remarks::remark;
use super::{
    chat::Chat,
    look::Look,
    room::{Outgoing, Room, Sending},
    scroll::{Place, Row},
    text::{clean, clean_line, fit, pad, width, wrap},
};

/// Columns of a time of day and the gap after it.
const CLOCK: usize = 6;

/// Columns that names take at most, of so many.
const NAME_MAX: usize = 14;

/// What rows are made of and for.
struct Making<'m> {
    chat: &'m Chat,
    room: &'m Room,
    look: &'m Look,
    columns: usize,
    name_columns: usize,
    now: UnixMillis,
}

/// All rows of a room, from the first entry that is held to the last message that is on its way.
pub(super) fn rows(
    chat: &Chat,
    room: &Room,
    look: &Look,
    columns: u16,
    now: UnixMillis,
) -> Vec<Row> {
    let columns = usize::from(columns).max(10);
    let most = NAME_MAX.min(columns / 4);
    let authors = room.window.entries().iter().map(|entry| &entry.author);
    let names = authors
        .chain([&chat.me])
        .map(|user| width(&chat.short(user)));
    let making = Making {
        chat,
        room,
        look,
        columns,
        name_columns: names.max().unwrap_or(0).min(most),
        now,
    };
    making.rows()
}

impl Making<'_> {
    fn rows(&self) -> Vec<Row> {
        let window = &self.room.window;
        let mut rows = Vec::new();
        if window.is_at_start && window.is_loaded {
            rows.push(self.top());
        }
        let (mut day, mut is_new) = (None, false);
        for entry in window.entries() {
            let lines = self.before(entry, &mut day, &mut is_new);
            if !lines.is_empty() {
                let place = Place::Before(entry.sequence);
                rows.push(Row { place, lines });
            }
            rows.push(Row {
                place: Place::Entry(entry.sequence),
                lines: self.entry(entry),
            });
        }
        if window.is_at_end {
            rows.extend(self.room.not_landed().map(|it| self.outgoing(it)));
        }
        rows
    }

    fn top(&self) -> Row {
        let text = "Only the members of this group can read what is said here.";
        Row {
            place: Place::Top,
            lines: self.lines(text, self.look.faint()),
        }
    }

    fn lines(&self, text: &str, style: Style) -> Vec<Line<'static>> {
        let lines = wrap(text, self.columns).into_iter();
        lines.map(|line| Line::styled(line, style)).collect()
    }

    /// The day, where it is another than before, and where the new ones begin.
    fn before(
        &self,
        entry: &Entry,
        day: &mut Option<String>,
        is_new: &mut bool,
    ) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        let its_day = self.look.day(entry.accepted, self.now);
        if day.as_ref() != Some(&its_day) {
            lines.push(self.rule(&its_day, self.look.faint()));
            *day = Some(its_day);
        }
        let read = self.room.read_before;
        if !*is_new
            && read.is_some_and(|read| entry.sequence > read)
            && entry.author != self.chat.me
            && entry.message().is_some()
        {
            lines.push(self.rule("new", self.look.waiting()));
            *is_new = true;
        }
        lines
    }

    fn rule(&self, text: &str, style: Style) -> Line<'static> {
        let text = format!("── {text} ");
        let rest = self.columns.saturating_sub(width(&text));
        Line::styled(format!("{text}{}", "─".repeat(rest)), style)
    }

    fn entry(&self, entry: &Entry) -> Vec<Line<'static>> {
        match &entry.kind {
            EntryKind::Message(posted) => self.message(entry, posted),
            _ => {
                let text = clean_line(&remark(self.chat, entry));
                let clock = self.look.clock(entry.accepted);
                let lines = wrap(&text, self.columns.saturating_sub(CLOCK + 2)).into_iter();
                let lead = |at| {
                    if at == 0 {
                        format!("{clock} * ")
                    } else {
                        " ".repeat(CLOCK + 2)
                    }
                };
                lines
                    .enumerate()
                    .map(|(at, line)| Line::styled(lead(at) + &line, self.look.faint()))
                    .collect()
            }
        }
    }

    fn message(&self, entry: &Entry, posted: &Posted) -> Vec<Line<'static>> {
        let look = self.look;
        let is_chosen = self.room.selected == Some(entry.sequence);
        let mut body = Vec::new();
        if let Some(answers) = posted.answers {
            body.push((self.quote(answers), look.faint()));
        }
        let text = clean(posted.text());
        let names_me = posted.message.mentions().iter();
        let style = match names_me.map(|it| &it.user).any(|it| *it == self.chat.me) {
            true => look.strong(),
            false => look.plain(),
        };
        if posted.deleted {
            body.push(("(taken back)".to_owned(), look.faint()));
        } else if !text.is_empty() {
            body.extend(self.broken(&text).map(|line| (line, style)));
        }
        for file in posted.message.attachments() {
            let size = HumanBytes(file.size_bytes);
            let line = format!("[file: {}, {size}]", clean_line(&file.name));
            body.push((fit(&line, self.body_columns()), look.plain()));
        }
        body.extend(self.about(entry, posted).map(|line| (line, look.faint())));
        if is_chosen {
            let number = format!("#{}", entry.sequence);
            body.push((number, look.faint()));
        }
        let clock = look.clock(entry.accepted);
        self.with_lead(&clock, &entry.author, body, is_chosen)
    }

    /// What came of a message: marks, and what else is to be known of it.
    fn about(&self, entry: &Entry, posted: &Posted) -> std::vec::IntoIter<String> {
        let mut marks: Vec<(String, usize)> = Vec::new();
        for reaction in &posted.reactions {
            let mark = clean_line(&reaction.text);
            match marks.iter_mut().find(|(known, _)| *known == mark) {
                Some((_, count)) => *count += 1,
                None => marks.push((mark, 1)),
            }
        }
        let mut parts: Vec<String> = marks
            .iter()
            .map(|(mark, count)| format!("{mark} {count}"))
            .collect();
        if posted.edited.is_some() {
            parts.push("edited".to_owned());
        }
        if !posted.is_reportable && !posted.deleted {
            parts.push("can't be reported".to_owned());
        }
        if let Some(until) = posted.expires {
            parts.push(format!("until {}", self.look.clock(until)));
        }
        parts.extend(self.read_by(entry));
        if parts.is_empty() {
            return Vec::new().into_iter();
        }
        wrap(&parts.join("  "), self.body_columns()).into_iter()
    }

    /// Who has read this person's last message, as far as they say so.
    fn read_by(&self, entry: &Entry) -> Option<String> {
        let me = &self.chat.me;
        let last = self.room.last_posted(|entry, _| entry.author == *me)?;
        if last.0.sequence != entry.sequence {
            return None;
        }
        let others = || self.room.receipts.iter().filter(|it| it.user != *me);
        let readers = others().filter(|it| it.read >= entry.sequence);
        let readers: Vec<String> = readers.map(|it| self.chat.short(&it.user)).collect();
        match readers.len() {
            0 if others().any(|it| it.delivered >= entry.sequence) => Some("received".to_owned()),
            0 => None,
            1..=3 => Some(format!("read by {}", readers.join(", "))),
            count => Some(format!("read by {count}")),
        }
    }

    /// The message that another one answers, in one line.
    fn quote(&self, at: Sequence) -> String {
        let quoted = self.room.window.find(at);
        let text = match quoted.and_then(|entry| Some((entry, entry.message()?))) {
            Some((entry, posted)) => {
                let author = self.chat.short(&entry.author);
                format!("↳ {author}: {}", clean_line(posted.text()))
            }
            None => format!("↳ #{at}"),
        };
        fit(&text, self.body_columns())
    }

    fn outgoing(&self, sent: &Outgoing) -> Row {
        let look = self.look;
        let text = clean(sent.message.body());
        let mut body = Vec::new();
        if !text.is_empty() {
            body.extend(self.broken(&text).map(|line| (line, look.faint())));
        }
        if let Some(file) = &sent.file {
            let name = clean_line(&file.display().to_string());
            body.push((format!("[file: {name}]"), look.faint()));
        }
        let (mark, state) = match &sent.state {
            Sending::Going(Some(percent)) => ("…", format!("sending the file, {percent} %")),
            Sending::Going(None) | Sending::Landed(_) => ("…", String::new()),
            Sending::Waits => ("…", "waits for the server".to_owned()),
            Sending::Failed(reason) => (
                "✗",
                format!("not sent: {}; /retry or /drop", clean_line(reason)),
            ),
        };
        let style = match &sent.state {
            Sending::Failed(_) => look.bad(),
            _ => look.waiting(),
        };
        if !state.is_empty() {
            body.extend(self.broken(&state).map(|line| (line, style)));
        }
        Row {
            place: Place::Outgoing(sent.local),
            lines: self.with_lead(mark, &self.chat.me, body, false),
        }
    }

    fn broken(&self, text: &str) -> std::vec::IntoIter<String> {
        wrap(text, self.body_columns()).into_iter()
    }

    fn body_columns(&self) -> usize {
        self.columns
            .saturating_sub(CLOCK + self.name_columns + 3)
            .max(2)
    }

    /// Puts time and author before the first line; the others stand below it, so that none looks like
    /// another person's.
    fn with_lead(
        &self,
        clock: &str,
        author: &UserId,
        body: Vec<(String, Style)>,
        is_chosen: bool,
    ) -> Vec<Line<'static>> {
        let name = pad(&self.chat.short(author), self.name_columns);
        let has_changed = self.chat.changed.contains(author);
        let mut first = vec![
            Span::styled(pad(clock, CLOCK), self.look.faint()),
            Span::styled(name, self.look.name(author)),
            match has_changed {
                true => Span::styled("!  ", self.look.bad()),
                false => Span::raw("   "),
            },
        ];
        let indent = " ".repeat(CLOCK + self.name_columns + 3);
        let mut lines = Vec::new();
        let body = if body.is_empty() {
            vec![(String::new(), Style::new())]
        } else {
            body
        };
        for (at, (text, style)) in body.into_iter().enumerate() {
            let mut spans = match at {
                0 => std::mem::take(&mut first),
                _ => vec![Span::raw(indent.clone())],
            };
            spans.push(Span::styled(text, style));
            let line = Line::from(spans);
            lines.push(match is_chosen {
                true => line.patch_style(self.look.chosen()),
                false => line,
            });
        }
        lines
    }
}
