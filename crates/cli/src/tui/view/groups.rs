//! The list of groups.

use conclave_client::Standing;
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph},
};

use crate::tui::{
    chat::Chat,
    look::Look,
    room::Room,
    text::{pad, width},
};

pub(super) fn draw(chat: &Chat, look: &Look, area: Rect, frame: &mut Frame<'_>) {
    if area.width == 0 {
        return;
    }
    let block = Block::new()
        .borders(Borders::RIGHT)
        .border_style(look.faint());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let columns = usize::from(inner.width).saturating_sub(1);
    let height = usize::from(inner.height).saturating_sub(1);
    let open = chat.rooms.iter().position(|it| Some(it.id()) == chat.open);
    let top = (open.unwrap_or(0) + 1).saturating_sub(height);
    let mut text = vec![Line::styled("Groups", look.strong())];
    let shown = chat.rooms.iter().skip(top).take(height);
    text.extend(shown.map(|room| line(chat, room, look, columns)));
    frame.render_widget(Paragraph::new(text), inner);
}

fn line(chat: &Chat, room: &Room, look: &Look, columns: usize) -> Line<'static> {
    let is_open = chat.open == Some(room.id());
    let count = match room.unread.count {
        0 => String::new(),
        1..=999 => format!(" {}", room.unread.count),
        _ => " 999+".to_owned(),
    };
    let muted = if room.is_muted { " m" } else { "" };
    let end = format!("{muted}{count}");
    let mark = if is_open { "▸ " } else { "  " };
    let name_columns = columns.saturating_sub(width(mark) + width(&end));
    let style = match (is_open, room.unread.count, room.group.standing) {
        (_, _, Standing::Ended) => look.faint(),
        (true, _, _) => look.strong(),
        (false, 1.., _) => look.strong(),
        _ => look.plain(),
    };
    let count_style = if room.is_muted {
        look.faint()
    } else {
        look.waiting()
    };
    Line::from(vec![
        Span::styled(format!("{mark}{}", pad(&room.name(), name_columns)), style),
        Span::styled(end, count_style),
    ])
}
