//! What keys do.

use conclave_client::{Sequence, UnixMillis};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{compose, verbs};
use crate::tui::{
    chat::{Chat, Panel},
    complete,
    event::{Effect, Load, Span},
    layout::areas,
    model::{Model, Stage},
    room::{Aim, Quoted},
    rows::rows,
    scroll::{Place, Row, Scroll, count},
};

/// The time between two words to the library that somebody types.
const TYPING_MILLIS: u64 = 2_000;

pub(super) fn press(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    if key.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let now = model.now;
    let Some(chat) = chat(model) else {
        return Vec::new();
    };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    match key.code {
        KeyCode::Char('c') if control && !chat.draft().is_empty() => {
            chat.draft_mut().take();
            typed(chat, now)
        }
        KeyCode::Char('c' | 'q') if control => vec![Effect::Quit],
        KeyCode::Char('d') if control && chat.draft().is_empty() => vec![Effect::Quit],
        KeyCode::Char('l') if control => vec![Effect::Redraw],
        KeyCode::Char('n') if control => chat.open_next(1),
        KeyCode::Char('p') if control => chat.open_next(-1),
        KeyCode::Down if alt => chat.open_next(1),
        KeyCode::Up if alt => chat.open_next(-1),
        KeyCode::Char('f') if control => {
            chat.draft_mut().cut_to_start();
            chat.draft_mut().insert("/search ");
            Vec::new()
        }
        KeyCode::F(1) => verbs::help(chat),
        KeyCode::Esc => {
            escape(chat);
            Vec::new()
        }
        KeyCode::Tab => complete_word(chat, true),
        KeyCode::BackTab => complete_word(chat, false),
        KeyCode::Enter if alt => edit(chat, KeyCode::Char('\n'), false, now),
        KeyCode::Char('j') if control => edit(chat, KeyCode::Char('\n'), false, now),
        KeyCode::Enter => enter(chat, now),
        KeyCode::PageUp => page(model, -1),
        KeyCode::PageDown => page(model, 1),
        KeyCode::Up => arrow(model, -1),
        KeyCode::Down => arrow(model, 1),
        code => edit(chat, code, control || alt, now),
    }
}

fn chat(model: &mut Model) -> Option<&mut Chat> {
    match &mut model.stage {
        Stage::Chat(chat) => Some(chat),
        Stage::Guide(_) => None,
    }
}

/// Leaves what is most in front.
fn escape(chat: &mut Chat) {
    if chat.completion.take().is_some() || chat.panel.take().is_some() {
        return;
    }
    if chat.room().is_some_and(|room| room.aim != Aim::Say) {
        return chat.drop_aim();
    }
    if let Some(room) = chat.room_mut()
        && room.selected.take().is_none()
    {
        room.scroll = Scroll::End;
    }
    chat.notice = None;
}

fn enter(chat: &mut Chat, now: UnixMillis) -> Vec<Effect> {
    if !chat.draft().text().trim().is_empty() {
        chat.panel = None;
        return compose::submit(chat, now);
    }
    match chat.panel.take() {
        Some(Panel::Sure { action, .. }) => return verbs::ask(chat, action),
        Some(Panel::Found {
            entries, chosen, ..
        }) => {
            let Some(entry) = entries.get(chosen) else {
                return Vec::new();
            };
            let mut effects = Vec::new();
            if chat.open != Some(entry.group) {
                effects = chat.open(entry.group);
            }
            let span = Span::Around(entry.sequence);
            effects.push(Effect::Load(Load::History(entry.group, span)));
            return effects;
        }
        Some(Panel::Members { chosen }) => return verbs::compare_member(chat, chosen),
        Some(Panel::Text { .. }) => return Vec::new(),
        None => {}
    }
    // On a message that was chosen, Enter begins an answer to it.
    if let Some(room) = chat.room_mut()
        && let Some((entry, posted)) = room.selected.and_then(|at| room.posted(at))
    {
        room.aim = Aim::Reply(Quoted::of(entry, posted));
        room.selected = None;
    }
    Vec::new()
}

fn edit(chat: &mut Chat, code: KeyCode, is_special: bool, now: UnixMillis) -> Vec<Effect> {
    let draft = chat.draft_mut();
    match (code, is_special) {
        (KeyCode::Char(c), false) => draft.insert(c.encode_utf8(&mut [0; 4])),
        (KeyCode::Char('a'), true) | (KeyCode::Home, _) => draft.home(),
        (KeyCode::Char('e'), true) | (KeyCode::End, _) => draft.end(),
        (KeyCode::Char('u'), true) => draft.cut_to_start(),
        (KeyCode::Char('k'), true) => draft.cut_to_end(),
        (KeyCode::Char('w'), true) | (KeyCode::Backspace, true) => draft.cut_word(),
        (KeyCode::Char('b'), true) | (KeyCode::Left, true) => draft.word_left(),
        (KeyCode::Right, true) => draft.word_right(),
        (KeyCode::Backspace, false) => draft.backspace(),
        (KeyCode::Delete, _) => draft.delete(),
        (KeyCode::Left, false) => draft.left(),
        (KeyCode::Right, false) => draft.right(),
        _ => return Vec::new(),
    }
    typed(chat, now)
}

/// What is typed has changed.
pub(super) fn typed(chat: &mut Chat, now: UnixMillis) -> Vec<Effect> {
    let draft = chat.draft();
    let offer = complete::offer(chat, &draft.text()[..draft.at()], false);
    let is_said = !draft.is_empty() && !draft.text().starts_with('/');
    chat.completion = offer.completion;
    let may = chat.room().is_some_and(|room| room.obstacle().is_none());
    let is_due = now.0 >= chat.typed.0 + TYPING_MILLIS;
    match chat.open {
        Some(group) if is_said && may && is_due && chat.is_online() => {
            chat.typed = now;
            vec![Effect::Typing(group)]
        }
        _ => Vec::new(),
    }
}

/// Completes as far as everything that is offered begins alike.
pub(super) fn complete_alike(chat: &mut Chat) {
    let Some(completion) = &chat.completion else {
        return;
    };
    if completion.candidates.len() == 1 {
        complete_word(chat, true);
        return;
    }
    let (from, alike) = (completion.from, completion.alike().to_owned());
    let draft = chat.draft_mut();
    if draft.at() - from < alike.len() {
        draft.replace_from(from, &alike);
    }
}

fn complete_word(chat: &mut Chat, forward: bool) -> Vec<Effect> {
    if chat.completion.is_none() {
        let draft = chat.draft();
        let offer = complete::offer(chat, &draft.text()[..draft.at()], true);
        chat.completion = offer.completion;
        if let Some(files) = offer.files {
            return vec![Effect::Load(Load::Files(files))];
        }
    }
    let Some(mut completion) = chat.completion.take() else {
        return Vec::new();
    };
    let is_only = completion.candidates.len() == 1;
    let (from, mut word) = (completion.from, completion.step(forward).word.clone());
    // What is found, and no folder to go on in, is followed by what comes next.
    if is_only && !word.ends_with('/') {
        word.push(' ');
    }
    chat.draft_mut().replace_from(from, &word);
    chat.completion = (!is_only).then_some(completion);
    Vec::new()
}

/// The rows of the open group's history, and how many lines of them are seen.
fn seen(model: &Model) -> Option<(Vec<Row>, usize)> {
    let Stage::Chat(chat) = &model.stage else {
        return None;
    };
    let room = chat.room()?;
    let history = areas(model).history;
    let rows = rows(chat, room, &model.look, history.width, model.now);
    Some((rows, usize::from(history.height)))
}

/// Scrolls, and reads on where that is needed.
fn page(model: &mut Model, pages: isize) -> Vec<Effect> {
    let height = usize::from(areas(model).history.height);
    let lines = pages * isize::try_from(height.saturating_sub(2).max(1)).unwrap_or(1);
    let seen = seen(model);
    let Some(chat) = chat(model) else {
        return Vec::new();
    };
    if chat.panel.is_some() {
        return in_panel(chat, lines);
    }
    let (Some((rows, height)), Some(room)) = (seen, chat.room_mut()) else {
        return Vec::new();
    };
    room.scroll = room.scroll.moved(&rows, height, lines);
    let top = room.scroll.top(&rows, height);
    let span = match pages {
        // Two screens early, so that nobody has to wait.
        ..0 if top < 2 * height => room.window.older(),
        0.. if room.scroll == Scroll::End || top + 3 * height > count(&rows) => room.window.newer(),
        _ => None,
    };
    let group = room.id();
    let load = |span| Effect::Load(Load::History(group, span));
    span.map(load).into_iter().collect()
}

fn arrow(model: &mut Model, step: isize) -> Vec<Effect> {
    let columns = areas(model).input_columns();
    let Some(chat) = chat(model) else {
        return Vec::new();
    };
    if chat.panel.is_some() {
        return in_panel(chat, step);
    }
    if chat.completion.is_some() {
        return complete_word(chat, step > 0);
    }
    let draft = chat.draft_mut();
    if draft.laid(columns).lines.len() > 1 && draft.line_step(columns, step) {
        return Vec::new();
    }
    select(model, step)
}

/// Moves in the panel that is open.
fn in_panel(chat: &mut Chat, step: isize) -> Vec<Effect> {
    let members = chat.room().map_or(0, |room| room.details.members.len());
    let moved = |at: usize, count: usize| at.saturating_add_signed(step).min(count.max(1) - 1);
    match &mut chat.panel {
        Some(Panel::Text { lines, top, .. }) => *top = moved(*top, lines.len()),
        Some(Panel::Members { chosen }) => *chosen = moved(*chosen, members),
        Some(Panel::Found {
            entries, chosen, ..
        }) => *chosen = moved(*chosen, entries.len()),
        Some(Panel::Sure { .. }) | None => {}
    }
    Vec::new()
}

/// Chooses another message, and shows it.
fn select(model: &mut Model, step: isize) -> Vec<Effect> {
    let Some(chat) = chat(model) else {
        return Vec::new();
    };
    let Some(room) = chat.room_mut() else {
        return Vec::new();
    };
    let posted: Vec<Sequence> = room
        .window
        .entries()
        .iter()
        .filter(|entry| entry.message().is_some_and(|it| !it.deleted))
        .map(|entry| entry.sequence)
        .collect();
    let at = room.selected.and_then(|at| posted.binary_search(&at).ok());
    let next = match (at, step < 0) {
        (None, true) => posted.len().checked_sub(1),
        (None, false) => None,
        (Some(at), _) => Some(at.saturating_add_signed(step)),
    };
    let is_first = next == Some(0);
    room.selected = next.and_then(|next| posted.get(next).copied());
    let group = room.id();
    let span = if is_first { room.window.older() } else { None };
    let mut scroll = room.scroll;
    if let Some(at) = room.selected
        && let Some((rows, height)) = seen(model)
    {
        scroll = scroll.showing(&rows, height, Place::Entry(at));
    } else {
        scroll = Scroll::End;
    }
    if let Some(room) = self::chat(model).and_then(Chat::room_mut) {
        room.scroll = scroll;
    }
    let load = |span| Effect::Load(Load::History(group, span));
    span.map(load).into_iter().collect()
}
