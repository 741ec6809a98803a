//! QR codes in half blocks, so that one module is about square.

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

/// Lines that are left for the text below a code, which is there too.
const TEXT_LINES: usize = 3;

/// Columns of light around a code. It should be twice that, but a terminal has its own edge, and what
/// is shown here has to fit into 24 lines.
const MARGIN_COLUMNS: usize = 2;

/// A QR code, drawn.
pub(crate) struct Square {
    text: String,
    lines: usize,
    columns: usize,
}

/// Draws a code, light on dark as most terminals are. `None` for a text that is too long.
pub(crate) fn square(text: &str) -> Option<Square> {
    // A screen has no spots: the least redundancy gives the smallest code.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let drawn = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .quiet_zone(false)
        .build();
    let columns = code.width() + 2 * MARGIN_COLUMNS;
    let (edge, side) = (
        "\u{2588}".repeat(columns),
        "\u{2588}".repeat(MARGIN_COLUMNS),
    );
    let mut rows = vec![edge.clone()];
    rows.extend(drawn.lines().map(|row| format!("{side}{row}{side}")));
    // An odd number of modules leaves half a line, which is light as well.
    if let Some(last) = rows.last_mut().filter(|_| code.width() % 2 == 1) {
        *last = last
            .replace(' ', "\u{2584}")
            .replace('\u{2580}', "\u{2588}");
    }
    rows.push(edge);
    Some(Square {
        lines: rows.len(),
        columns,
        text: rows.join("\n"),
    })
}

impl Square {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the terminal has room for it and the text.
    pub(crate) fn fits(&self) -> bool {
        let size = terminal_size::terminal_size();
        size.is_some_and(|(width, height)| {
            self.columns <= usize::from(width.0) && self.lines + TEXT_LINES <= usize::from(height.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the module at this place is dark: two of them stand in each character.
    fn is_dark(rows: &[Vec<char>], x: usize, y: usize) -> bool {
        match rows[y / 2][x] {
            '\u{2588}' => false,
            '\u{2580}' => !y.is_multiple_of(2),
            '\u{2584}' => y.is_multiple_of(2),
            _ => true,
        }
    }

    fn read(square: &Square) -> String {
        let rows: Vec<Vec<char>> = square
            .text
            .lines()
            .map(|row| row.chars().collect())
            .collect();
        assert!(rows.iter().all(|row| row.len() == square.columns));
        // Larger, with light around it, as a camera would see it.
        let (scale, around) = (4, 8);
        let size = |modules: usize| (modules + 2 * around) * scale;
        let (width, height) = (size(square.columns), size(2 * square.lines));
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
            let at = |pixel: usize| (pixel / scale).checked_sub(around);
            let inside = at(x).zip(at(y));
            let inside = inside.filter(|(x, y)| *x < square.columns && *y < 2 * square.lines);
            if inside.is_some_and(|(x, y)| is_dark(&rows, x, y)) {
                0
            } else {
                255
            }
        });
        image.detect_grids()[0].decode().unwrap().1
    }

    #[test]
    fn what_is_drawn_is_read_and_what_is_shown_at_80_by_24_has_room() {
        // As long as a new device's code, and as mixed.
        let code = format!(
            "CONCLAVE-LINK:{}",
            "C0D1EXF2GHJ3K4MNP5QR6STVW7XYZ8A9B".repeat(5)
        );
        let code = &code[..149];
        let digits = "1234567890".repeat(6);
        for text in [code, &digits] {
            let square = square(text).unwrap();
            assert_eq!(read(&square), text);
            assert!(square.columns <= 80, "{text}: {}", square.columns);
            assert!(square.lines + TEXT_LINES <= 24, "{text}: {}", square.lines);
        }
        assert!(square(&"x".repeat(4000)).is_none());
    }
}
