//! What stands where on the screen, from 20 columns and 5 lines on.

use ratatui::layout::Rect;

use super::{
    model::{Model, Stage},
    text::{width, wrap},
};

/// Below this nothing useful can be shown.
const COLUMNS_MIN: u16 = 20;
const LINES_MIN: u16 = 5;

/// From here on there is room for the list of groups.
const COLUMNS_FOR_GROUPS: u16 = 60;

/// From here on there is room for a line that tells of keys.
const LINES_FOR_HINTS: u16 = 8;

/// Lines that the text being typed takes at most, of so many on the screen.
const INPUT_LINES_MAX: u16 = 6;

/// Lines that a notice takes at most.
const NOTICE_LINES_MAX: u16 = 4;

/// What stands before the text that is typed.
pub(super) const PROMPT: &str = "› ";

/// The parts of the screen; what has no room is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Areas {
    pub(super) groups: Rect,
    pub(super) header: Rect,
    pub(super) history: Rect,
    /// What the text is about, a notice, or who types.
    pub(super) above: Rect,
    pub(super) input: Rect,
    pub(super) status: Rect,
    pub(super) hints: Rect,
}

impl Areas {
    /// Columns for the text that is typed.
    pub(super) fn input_columns(&self) -> usize {
        usize::from(self.input.width)
            .saturating_sub(width(PROMPT))
            .max(2)
    }
}

/// Whether there is room for anything.
pub(super) fn has_room(area: Rect) -> bool {
    area.width >= COLUMNS_MIN && area.height >= LINES_MIN
}

pub(super) fn areas(model: &Model) -> Areas {
    let (columns, lines) = model.size;
    let groups_width = groups_width(columns);
    let has_hints = lines >= LINES_FOR_HINTS;
    let hints_height = u16::from(has_hints);
    let input_height = input_height(model, columns, lines);
    let body = lines.saturating_sub(1 + hints_height);
    let right = columns.saturating_sub(groups_width);
    let x = groups_width;
    let above_height = above_height(model, right, lines);
    let history_height = body.saturating_sub(1 + above_height + input_height);
    let above = 1 + history_height;
    Areas {
        groups: Rect::new(0, 0, groups_width, body),
        header: Rect::new(x, 0, right, 1),
        history: Rect::new(x, 1, right, history_height),
        above: Rect::new(x, above, right, above_height),
        input: Rect::new(x, above + above_height, right, input_height),
        status: Rect::new(0, body, columns, 1),
        hints: Rect::new(0, body + 1, columns, hints_height),
    }
}

/// A notice that is too long for a line gets more where there is room.
fn above_height(model: &Model, columns: u16, lines: u16) -> u16 {
    let most = (lines / 6).clamp(1, NOTICE_LINES_MAX);
    let Stage::Chat(chat) = &model.stage else {
        return 1;
    };
    let notice = chat.notice.as_ref();
    let wanted = notice.map_or(1, |it| wrap(&it.text, usize::from(columns)).len());
    u16::try_from(wanted).unwrap_or(most).clamp(1, most)
}

fn groups_width(columns: u16) -> u16 {
    if columns < COLUMNS_FOR_GROUPS {
        return 0;
    }
    (columns / 4).clamp(16, 26)
}

fn input_height(model: &Model, columns: u16, lines: u16) -> u16 {
    let Stage::Chat(chat) = &model.stage else {
        return 1;
    };
    let groups_width = groups_width(columns);
    let room = usize::from(columns - groups_width).saturating_sub(width(PROMPT));
    let wanted = chat.draft().laid(room.max(2)).lines.len();
    let most = (lines / 4).clamp(1, INPUT_LINES_MAX);
    u16::try_from(wanted).unwrap_or(most).clamp(1, most)
}
