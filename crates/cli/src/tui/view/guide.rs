//! The first run.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use crate::tui::{
    guide::{Field, Guide},
    look::Look,
    text::{clean_line, pad, wrap},
};

/// Columns of the names of the questions.
const LABEL: u16 = 12;

/// The widest that this gets: lines stay short enough to be read.
const COLUMNS_MAX: u16 = 64;

/// What the passphrase is for.
const PASSPHRASE: &str = " A passphrase keeps what is stored here from whoever copies the folder; you \
                          may leave it empty.";

pub(super) fn draw(guide: &Guide, look: &Look, frame: &mut Frame<'_>) {
    let whole = frame.area();
    let columns = whole.width.saturating_sub(2).min(COLUMNS_MAX);
    let x = (whole.width - columns) / 2;
    let wide = usize::from(columns);
    let is_low = whole.height < 16;
    let mut text = vec![Line::styled("Conclave", look.strong())];
    let gap = |text: &mut Vec<Line<'static>>| {
        if !is_low {
            text.push(Line::default());
        }
    };
    gap(&mut text);
    if !is_low {
        let home = clean_line(&guide.home.display().to_string());
        let about = format!(
            "Messages that only you and those you write to can read. There is no account in {home} \
             yet: say at which server you want one, and your name there.{}",
            if guide.passphrase.is_some() {
                PASSPHRASE
            } else {
                ""
            }
        );
        text.extend(wrap(&about, wide).into_iter().map(Line::raw));
        text.push(Line::default());
    }
    let mut cursor = (x, 0);
    for (field, editor) in guide.fields() {
        let is_here = field == guide.field;
        let label = match field {
            Field::Server => "Server",
            Field::Name => "Name",
            Field::Code => "Code",
            Field::Passphrase => "Passphrase",
            Field::Again => "Once more",
        };
        let style = if is_here { look.strong() } else { look.faint() };
        let laid = editor.laid(usize::from(columns.saturating_sub(LABEL).max(2)));
        if is_here {
            let column = u16::try_from(laid.column).unwrap_or(0);
            let line = u16::try_from(text.len()).unwrap_or(0);
            cursor = (x + LABEL + column, line);
        }
        text.push(Line::from(vec![
            Span::styled(pad(label, usize::from(LABEL)), style),
            Span::raw(laid.lines[laid.line].clone()),
        ]));
    }
    gap(&mut text);
    if guide.is_busy {
        text.push(Line::styled("Registering…", look.waiting()));
    } else if let Some(refusal) = &guide.refusal {
        let broken = wrap(&clean_line(&refusal.text), wide).into_iter();
        text.extend(broken.map(|line| Line::styled(line, look.bad())));
    }
    gap(&mut text);
    text.push(Line::styled(
        "Enter goes on   Tab another line   Esc ends",
        look.faint(),
    ));
    let lines = u16::try_from(text.len()).unwrap_or(whole.height);
    let y = whole.height.saturating_sub(lines) / 3;
    let area = Rect::new(x, y, columns, whole.height - y);
    frame.render_widget(Paragraph::new(text), area);
    let last = whole.height.saturating_sub(1);
    frame.set_cursor_position((cursor.0.min(whole.width - 1), (y + cursor.1).min(last)));
}
