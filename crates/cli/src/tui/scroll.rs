//! Where in a history somebody reads. The place is kept as a line of an entry, so that nothing moves
//! while more is read before it or comes after it.

use conclave_client::Sequence;
use ratatui::text::Line;

/// What a row of lines shows, in the order in which rows stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The remark before everything else.
    Top,
    /// The day, or where the new ones begin, before an entry.
    Before(Sequence),
    Entry(Sequence),
    /// A message that is not in the log yet.
    Outgoing(u64),
}

/// Lines that belong together.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) place: Place,
    pub(super) lines: Vec<Line<'static>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Scroll {
    /// The end, also when more comes.
    #[default]
    End,
    /// So many lines into what stands here.
    At(Place, usize),
}

impl Scroll {
    /// The first line that is shown, counted over all rows.
    pub(super) fn top(self, rows: &[Row], height: usize) -> usize {
        let end = count(rows).saturating_sub(height);
        match self {
            Self::End => end,
            Self::At(place, line) => (line_of(rows, place) + line).min(end),
        }
    }

    /// Where it is after so many lines up or down.
    pub(super) fn moved(self, rows: &[Row], height: usize, lines: isize) -> Self {
        let top = self.top(rows, height).saturating_add_signed(lines);
        Self::from_top(rows, height, top)
    }

    /// Where it has to be for a row to be seen, moved as little as possible.
    pub(super) fn showing(self, rows: &[Row], height: usize, place: Place) -> Self {
        let Some(row) = rows.iter().find(|row| row.place == place) else {
            return self;
        };
        let (top, first) = (self.top(rows, height), line_of(rows, place));
        let last = first + row.lines.len().min(height);
        if first < top {
            Self::from_top(rows, height, first)
        } else if last > top + height {
            Self::from_top(rows, height, last - height)
        } else {
            self
        }
    }

    fn from_top(rows: &[Row], height: usize, top: usize) -> Self {
        if top + height >= count(rows) {
            return Self::End;
        }
        let mut before = 0;
        for row in rows {
            if top < before + row.lines.len() {
                return Self::At(row.place, top - before);
            }
            before += row.lines.len();
        }
        Self::End
    }
}

pub(super) fn count(rows: &[Row]) -> usize {
    rows.iter().map(|row| row.lines.len()).sum()
}

/// The first line of a row, or of the next one where it is gone.
fn line_of(rows: &[Row], place: Place) -> usize {
    let before = rows.iter().take_while(|row| row.place < place);
    before.map(|row| row.lines.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(range: std::ops::Range<u64>) -> Vec<Row> {
        range
            .map(|at| Row {
                place: Place::Entry(Sequence(at)),
                lines: vec![Line::raw("x"); 1 + usize::from(at.is_multiple_of(3))],
            })
            .collect()
    }

    fn at_top(scroll: Scroll, rows: &[Row], height: usize) -> Place {
        let top = scroll.top(rows, height);
        let mut places = rows.iter().flat_map(|row| vec![row.place; row.lines.len()]);
        places.nth(top).unwrap()
    }

    #[test]
    fn what_is_read_stays_where_it_is_while_more_comes_at_both_ends() {
        let (few, height) = (rows(50..100), 10);
        let scroll = Scroll::End.moved(&few, height, -20);
        let shown = at_top(scroll, &few, height);
        assert_eq!(at_top(scroll, &rows(10..130), height), shown);
        // Also where the very row is gone, or the window is narrower.
        let gone: Vec<Row> = rows(50..100)
            .into_iter()
            .filter(|row| row.place != shown)
            .collect();
        assert!(at_top(scroll, &gone, height) > shown);
        assert_eq!(scroll.moved(&few, height, 20), Scroll::End);
        let top = Scroll::End.moved(&few, height, -1000);
        assert_eq!(top.top(&few, height), 0);
    }

    #[test]
    fn what_is_chosen_is_seen() {
        let (rows, height) = (rows(0..100), 10);
        for at in [0, 3, 50, 99, 4] {
            let place = Place::Entry(Sequence(at));
            let scroll = Scroll::End.showing(&rows, height, place);
            let top = scroll.top(&rows, height);
            let first = line_of(&rows, place);
            assert!((top..top + height).contains(&first), "{at}");
        }
        let last = Place::Entry(Sequence(99));
        assert_eq!(Scroll::End.showing(&rows, height, last), Scroll::End);
    }
}
