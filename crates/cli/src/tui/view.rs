//! What is shown, drawn anew from the model each time.

mod groups;
mod guide;
mod panel;
mod status;

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Clear, Paragraph},
};

use super::{
    chat::Chat,
    layout::{Areas, PROMPT, areas, has_room},
    model::{Model, Stage},
    room::{Aim, Room},
    rows::rows,
    scroll::{Scroll, count},
    text::{clean_line, fit, pad, width, wrap},
};

/// Lines that words to choose from take at most.
const CANDIDATE_LINES: u16 = 7;

/// Draws everything.
pub(super) fn view(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    if !has_room(area) {
        frame.render_widget("too small", area);
        return;
    }
    match &model.stage {
        Stage::Guide(guide) => guide::draw(guide, &model.look, frame),
        Stage::Chat(chat) => {
            let areas = areas(model);
            groups::draw(chat, &model.look, areas.groups, frame);
            status::header(chat, model, areas.header, frame);
            match &chat.panel {
                Some(panel) => panel::draw(panel, chat, model, areas.history, frame),
                None => history(chat, model, areas.history, frame),
            }
            above(chat, model, areas.above, frame);
            input(chat, model, &areas, frame);
            candidates(chat, model, &areas, frame);
            status::status(chat, model, areas.status, frame);
            status::hints(chat, model, areas.hints, frame);
        }
    }
}

fn history(chat: &Chat, model: &Model, area: Rect, frame: &mut Frame<'_>) {
    let Some(room) = chat.room() else {
        return welcome(chat, model, area, frame);
    };
    let rows = rows(chat, room, &model.look, area.width, model.now);
    let height = usize::from(area.height);
    let top = room.scroll.top(&rows, height);
    let lines: Vec<Line<'_>> = rows.into_iter().flat_map(|row| row.lines).collect();
    // What is little stands at the bottom, where more will come.
    let gap = height.saturating_sub(lines.len());
    let blank = std::iter::repeat_n(Line::default(), gap);
    let shown = lines.into_iter().skip(top).take(height);
    let text: Vec<Line<'_>> = blank.chain(shown).collect();
    frame.render_widget(Paragraph::new(text), area);
}

/// What to do where there is no group.
fn welcome(chat: &Chat, model: &Model, area: Rect, frame: &mut Frame<'_>) {
    if !chat.is_loaded {
        return;
    }
    let look = &model.look;
    let me = clean_line(chat.me.as_str());
    let mut text = vec![
        Line::styled(format!("Welcome, {}.", chat.short(&chat.me)), look.strong()),
        Line::default(),
        Line::raw("You are in no group yet."),
        Line::default(),
    ];
    for (command, about) in [
        ("/create NAME", "makes a group; then /add USER"),
        ("/redeem CODE", "asks to be let into one"),
        ("/help", "shows what else there is"),
    ] {
        text.push(Line::from(vec![
            Span::styled(format!("  {}", pad(command, 14)), look.strong()),
            Span::raw(about),
        ]));
    }
    text.push(Line::default());
    text.push(Line::raw(format!("Others add you as {me}.")));
    frame.render_widget(
        Paragraph::new(text).wrap(ratatui::widgets::Wrap { trim: false }),
        area,
    );
}

/// What stands above the input: what the text is about, what is to be said, or who types.
fn above(chat: &Chat, model: &Model, area: Rect, frame: &mut Frame<'_>) {
    let look = &model.look;
    let columns = usize::from(area.width);
    let room = chat.room();
    let aim = room.and_then(|room| aimed(chat, room));
    let notice = chat.notice.as_ref();
    let (text, style) = if let Some(error) = notice.filter(|it| it.is_error) {
        (error.text.clone(), look.bad())
    } else if let Some(aim) = aim {
        (aim, look.waiting())
    } else if let Some(notice) = notice {
        (notice.text.clone(), look.good())
    } else if let Some(more) = room.and_then(|room| below(chat, room, model)) {
        (more, look.waiting())
    } else if let Some(typing) = room.and_then(|room| typing(chat, room, model)) {
        (typing, look.faint())
    } else {
        ("─".repeat(columns), look.faint())
    };
    let height = usize::from(area.height);
    let mut lines = wrap(&text, columns);
    if height == 1 || lines.len() > height {
        lines = vec![fit(&text, columns)];
    }
    let lines: Vec<Line<'_>> = lines.into_iter().map(Line::raw).collect();
    frame.render_widget(Paragraph::new(lines).style(style), area);
}

fn aimed(chat: &Chat, room: &Room) -> Option<String> {
    let (what, quoted) = match &room.aim {
        Aim::Say => return None,
        Aim::Reply(quoted) => ("answering", quoted),
        Aim::Edit(quoted) => ("changing", quoted),
    };
    let author = chat.short(&quoted.author);
    Some(format!("{what} {author}: {}", clean_line(&quoted.text)))
}

/// That something stands below what is shown.
fn below(chat: &Chat, room: &Room, model: &Model) -> Option<String> {
    if room.scroll == Scroll::End && room.window.is_at_end {
        return None;
    }
    if !room.window.is_loaded || chat.panel.is_some() {
        return None;
    }
    let area = areas(model).history;
    let rows = rows(chat, room, &model.look, area.width, model.now);
    let height = usize::from(area.height);
    let seen = room.scroll.top(&rows, height) + height;
    let missing = count(&rows).saturating_sub(seen);
    let new = match room.unread.count {
        0 => String::new(),
        count => format!(", {count} new"),
    };
    Some(if room.window.is_at_end {
        format!("↓ {missing} lines below{new}; Esc goes to the end")
    } else {
        format!("↓ more below{new}; Esc goes to the end")
    })
}

fn typing(chat: &Chat, room: &Room, model: &Model) -> Option<String> {
    let names: Vec<String> = room.typing(model.now).map(|it| chat.short(it)).collect();
    match &names[..] {
        [] => None,
        [one] => Some(format!("{one} is typing…")),
        [one, other] => Some(format!("{one} and {other} are typing…")),
        many => Some(format!("{} people are typing…", many.len())),
    }
}

fn input(chat: &Chat, model: &Model, areas: &Areas, frame: &mut Frame<'_>) {
    let look = &model.look;
    let columns = areas.input_columns();
    let laid = chat.draft().laid(columns);
    let height = usize::from(areas.input.height);
    let top = (laid.line + 1).saturating_sub(height);
    let obstacle = chat.room().and_then(Room::obstacle);
    let mut text: Vec<Line<'_>> = Vec::new();
    for (at, line) in laid.lines.iter().enumerate().skip(top).take(height) {
        let lead = if at == 0 { PROMPT } else { "  " };
        text.push(Line::from(vec![
            Span::styled(lead, look.strong()),
            Span::raw(line.clone()),
        ]));
    }
    if let Some(obstacle) = obstacle.filter(|_| chat.draft().is_empty()) {
        text = vec![Line::styled(format!("{PROMPT}{obstacle}"), look.faint())];
    }
    frame.render_widget(Paragraph::new(text), areas.input);
    let column = u16::try_from(width(PROMPT) + laid.column).unwrap_or(0);
    let line = u16::try_from(laid.line - top).unwrap_or(0);
    frame.set_cursor_position((
        (areas.input.x + column).min(areas.input.right().saturating_sub(1)),
        areas.input.y + line,
    ));
}

/// The words to choose from, above the input.
fn candidates(chat: &Chat, model: &Model, areas: &Areas, frame: &mut Frame<'_>) {
    let Some(completion) = &chat.completion else {
        return;
    };
    let all = &completion.candidates;
    let room = areas.history.height.min(CANDIDATE_LINES);
    let height = usize::from(room).min(all.len());
    let chosen = completion.chosen.unwrap_or(0);
    let top = (chosen + 1).saturating_sub(height);
    let lines = u16::try_from(height).unwrap_or(room);
    let y = areas.above.y.saturating_sub(lines);
    let area = Rect::new(areas.history.x, y, areas.history.width, lines);
    let columns = usize::from(area.width);
    let words = all.iter().map(|it| width(&it.word)).max().unwrap_or(0);
    let words = words.min(columns / 2);
    let text: Vec<Line<'_>> = all
        .iter()
        .enumerate()
        .skip(top)
        .take(height)
        .map(|(at, candidate)| {
            let word = clean_line(&candidate.word);
            let line = format!(" {}  {}", pad(&word, words), candidate.about);
            let style = match completion.chosen {
                Some(chosen) if chosen == at => model.look.chosen(),
                _ => model.look.plain(),
            };
            Line::styled(pad(&line, columns), style)
        })
        .collect();
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(text), area);
}
