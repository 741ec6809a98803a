//! The lines at the edges: what is open, how it stands with the service, and which keys there are.

use conclave_client::UnixMillis;
use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use crate::tui::{
    chat::{Chat, Connection, Panel},
    model::Model,
    room::{Aim, Sending},
    text::{clean_line, fit, width},
};

/// What takes longer than this is said to be slow.
const SLOW_SECONDS: u64 = 3;

/// The group that is open.
pub(super) fn header(chat: &Chat, model: &Model, area: Rect, frame: &mut Frame<'_>) {
    let columns = usize::from(area.width);
    let Some(room) = chat.room() else {
        frame.render_widget(Line::styled("Conclave", model.look.strong()), area);
        return;
    };
    let mut about = String::new();
    match room.details.members.len() {
        0 => {}
        1 => about += " · only you",
        count => about += &format!(" · {count} members"),
    }
    if !room.details.topic.is_empty() {
        about += &format!(" · {}", clean_line(&room.details.topic));
    }
    if room.is_muted {
        about += " · muted";
    }
    // Where there is no list, the others are told of here.
    if columns == usize::from(model.size.0) {
        let others = chat.rooms.iter().filter(|it| it.id() != room.id());
        let unread: u32 = others.map(|it| it.unread.count).sum();
        if unread > 0 {
            about += &format!(" · {unread} new elsewhere");
        }
    }
    let name = fit(&room.name(), columns);
    let rest = columns.saturating_sub(width(&name));
    let line = Line::from(vec![
        Span::styled(name, model.look.strong()),
        Span::styled(fit(&about, rest), model.look.faint()),
    ]);
    frame.render_widget(line, area);
}

/// How it stands with the service.
pub(super) fn status(chat: &Chat, model: &Model, area: Rect, frame: &mut Frame<'_>) {
    let look = &model.look;
    let (mark, text, style) = connection(chat, model);
    let columns = usize::from(area.width);
    let mut parts = vec![text];
    if let Some(epoch) = chat.room().and_then(|room| room.details.epoch) {
        parts.push(format!("epoch {epoch}"));
    }
    parts.extend(outbox(chat));
    if chat.busy > 0 {
        parts.push("working…".to_owned());
    }
    let me = clean_line(chat.me.as_str());
    let left = format!(" {mark} {}", parts.join(" · "));
    let left = fit(&left, columns);
    let gap = columns.saturating_sub(width(&left) + width(&me) + 1);
    let mut spans = vec![Span::styled(left, style)];
    if gap > 0 {
        spans.push(Span::raw(" ".repeat(gap)));
        spans.push(Span::styled(me, look.faint()));
    }
    frame.render_widget(Line::from(spans), area);
}

fn connection(chat: &Chat, model: &Model) -> (&'static str, String, Style) {
    let look = &model.look;
    match &chat.connection {
        Connection::Online => ("●", "online".to_owned(), look.good()),
        Connection::CatchingUp(percent) => ("●", format!("reading, {percent} %"), look.waiting()),
        Connection::Connecting(since) => match seconds(*since, model.now) {
            waited if waited >= SLOW_SECONDS => {
                ("○", format!("connecting, {waited} s"), look.waiting())
            }
            _ => ("○", "connecting".to_owned(), look.waiting()),
        },
        Connection::Lost(since) => {
            let waited = seconds(*since, model.now);
            ("○", format!("no connection, {waited} s"), look.bad())
        }
        Connection::Stopped(reason) => ("○", clean_line(reason), look.bad()),
    }
}

fn seconds(since: UnixMillis, now: UnixMillis) -> u64 {
    now.0.saturating_sub(since.0) / 1000
}

/// What of this person's is not in the log yet, in all groups.
fn outbox(chat: &Chat) -> Option<String> {
    let all = || chat.rooms.iter().flat_map(|room| &room.outgoing);
    let failed = all().filter(|it| matches!(it.state, Sending::Failed(_)));
    let going = all().filter(|it| matches!(it.state, Sending::Going(_) | Sending::Waits));
    match (failed.count(), going.count()) {
        (0, 0) => None,
        (0, going) => Some(format!("{going} to send")),
        (failed, 0) => Some(format!("{failed} not sent")),
        (failed, going) => Some(format!("{failed} not sent, {going} to send")),
    }
}

/// The keys that are of use now.
pub(super) fn hints(chat: &Chat, model: &Model, area: Rect, frame: &mut Frame<'_>) {
    let room = chat.room();
    let keys: &[(&str, &str)] = match &chat.panel {
        Some(Panel::Sure { .. }) => &[("Enter", "yes"), ("Esc", "no")],
        Some(Panel::Text { .. }) => &[("Up/Down", "move"), ("Esc", "close")],
        Some(Panel::Members { .. }) => &[
            ("Up/Down", "choose"),
            ("Enter", "compare"),
            ("Esc", "close"),
        ],
        Some(Panel::Found { .. }) => &[("Up/Down", "choose"), ("Enter", "go"), ("Esc", "close")],
        None if chat.completion.is_some() => {
            &[("Tab", "next"), ("Enter", "send"), ("Esc", "close")]
        }
        None if room.is_some_and(|it| it.selected.is_some()) => &[
            ("Enter", "answer"),
            ("/react", "mark"),
            ("/edit", ""),
            ("/save", ""),
            ("Esc", "back"),
        ],
        None if room.is_some_and(|it| it.aim != Aim::Say) => &[("Enter", "send"), ("Esc", "drop")],
        None => &[
            ("F1", "help"),
            ("Tab", "complete"),
            ("^N/^P", "groups"),
            ("PgUp", "back"),
            ("Up", "choose"),
            ("^C", "end"),
        ],
    };
    let mut spans = vec![Span::raw(" ")];
    for (key, about) in keys {
        spans.push(Span::styled(*key, model.look.strong()));
        spans.push(Span::styled(format!(" {about}  "), model.look.faint()));
    }
    frame.render_widget(Line::from(spans), area);
}
