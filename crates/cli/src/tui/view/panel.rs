//! What covers the history for a while.

use conclave_client::Role;
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use crate::tui::{
    chat::{Chat, Panel},
    look::Look,
    model::Model,
    text::{clean, clean_line, fit, pad, wrap},
};

/// Columns of keys and commands in the help.
const LEFT_COLUMNS: usize = 24;

pub(super) fn draw(panel: &Panel, chat: &Chat, model: &Model, area: Rect, frame: &mut Frame<'_>) {
    let look = &model.look;
    let columns = usize::from(area.width);
    let (title, lines, shown) = match panel {
        Panel::Text { title, lines, top } => {
            let broken = lines.iter().skip(*top);
            let broken = broken.flat_map(|line| in_columns(line, columns));
            (clean_line(title), broken.map(Line::raw).collect(), 0)
        }
        Panel::Members { chosen } => (members_title(chat), members(chat, look, *chosen), *chosen),
        Panel::Found {
            query,
            entries,
            chosen,
        } => {
            let title = format!("{} found: {}", entries.len(), clean_line(query));
            let lines = entries.iter().enumerate();
            let lines = lines.map(|(at, entry)| {
                let clock = look.clock(entry.accepted);
                let author = chat.short(&entry.author);
                let text = clean_line(entry.text().unwrap_or_default());
                let line = format!("{clock} {author}: {text}");
                line_of(&fit(&line, columns), columns, at == *chosen, look)
            });
            (title, lines.collect(), *chosen)
        }
        Panel::Sure { question, .. } => {
            let lines = wrap(&clean(question), columns).into_iter().map(Line::raw);
            ("Sure?".to_owned(), lines.collect(), 0)
        }
    };
    let height = usize::from(area.height).saturating_sub(1);
    let top = (shown + 1).saturating_sub(height);
    let title = Line::styled(pad(&title, columns), look.strong());
    let text: Vec<Line<'_>> = [title]
        .into_iter()
        .chain(lines.into_iter().skip(top).take(height))
        .collect();
    frame.render_widget(Paragraph::new(text), area);
}

/// A line, broken where it is too long; what stands after a tab has a column of its own.
fn in_columns(line: &str, columns: usize) -> Vec<String> {
    let Some((left, right)) = line.split_once('\t') else {
        return wrap(&clean(line), columns);
    };
    let lead = LEFT_COLUMNS.min(columns / 2);
    let left = wrap(&clean(left), lead.saturating_sub(1));
    let right = wrap(&clean(right), columns.saturating_sub(lead));
    let part = |parts: &[String], at: usize| parts.get(at).cloned().unwrap_or_default();
    (0..left.len().max(right.len()))
        .map(|at| pad(&part(&left, at), lead) + &part(&right, at))
        .collect()
}

fn line_of(text: &str, columns: usize, is_chosen: bool, look: &Look) -> Line<'static> {
    let style = if is_chosen {
        look.chosen()
    } else {
        look.plain()
    };
    Line::styled(pad(text, columns), style)
}

fn members_title(chat: &Chat) -> String {
    let count = chat.room().map_or(0, |room| room.details.members.len());
    format!("{count} members")
}

/// Who is here, and what is known of their keys.
fn members(chat: &Chat, look: &Look, chosen: usize) -> Vec<Line<'static>> {
    let Some(room) = chat.room() else {
        return Vec::new();
    };
    let lines = room.details.members.iter().enumerate();
    lines
        .map(|(at, member)| {
            let user = &member.user;
            let (mark, about, style) = if *user == chat.me {
                (" ", "you", look.faint())
            } else if chat.changed.contains(user) {
                (
                    "!",
                    "has a new key: Enter shows the digits to compare",
                    look.bad(),
                )
            } else if room.details.verified.contains(user) {
                ("✓", "compared", look.good())
            } else {
                ("·", "not compared yet", look.faint())
            };
            let role = match member.role {
                Role::Member => String::new(),
                role => format!(", {}", role.as_str()),
            };
            let devices = match member.devices.len() {
                1 => String::new(),
                count => format!(", {count} devices"),
            };
            let name = pad(&chat.short(user), 16);
            let line = Line::from(vec![
                Span::styled(format!("{mark} "), style),
                Span::raw(name),
                Span::styled(format!(" {about}{role}{devices}"), style),
            ]);
            if at == chosen {
                line.patch_style(look.chosen())
            } else {
                line
            }
        })
        .collect()
}
