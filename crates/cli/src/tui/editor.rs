//! A line, or a few, that somebody types.

use std::fmt;

use unicode_segmentation::UnicodeSegmentation as _;

use zeroize::Zeroizing;

use super::text::{clean, width};

/// A text with a cursor, which stands before a character as people count them. It is wiped when it goes,
/// since it may be a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Editor {
    text: Zeroizing<String>,
    at: usize,
    /// How each character is shown, where nobody is to read over a shoulder.
    mask: Option<&'static str>,
}

/// Room for a secret, in bytes, so that no copy stays behind where it would have to grow.
const SECRET_BYTES: usize = 4096;

/// A text as it stands in so many columns, and where the cursor is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Laid {
    pub(super) lines: Vec<String>,
    pub(super) column: usize,
    pub(super) line: usize,
}

impl Editor {
    pub(super) fn with(text: &str) -> Self {
        Self {
            text: Zeroizing::new(text.to_owned()),
            at: text.len(),
            mask: None,
        }
    }

    /// Nothing yet, and nothing of it is ever shown.
    pub(super) fn secret() -> Self {
        Self {
            text: Zeroizing::new(String::with_capacity(SECRET_BYTES)),
            at: 0,
            mask: Some("*"),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Where the cursor stands, in bytes.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn insert(&mut self, text: &str) {
        let text = clean(text);
        self.text.insert_str(self.at, &text);
        self.at += text.len();
    }

    /// Puts a text in the place of what stands between a place and the cursor.
    pub(super) fn replace_from(&mut self, from: usize, text: &str) {
        self.text.replace_range(from..self.at, text);
        self.at = from + text.len();
    }

    pub(super) fn take(&mut self) -> String {
        self.at = 0;
        std::mem::take(&mut *self.text)
    }

    pub(super) fn backspace(&mut self) {
        self.replace_from(self.before(), "");
    }

    pub(super) fn delete(&mut self) {
        let after = self.after();
        self.text.replace_range(self.at..after, "");
    }

    pub(super) fn left(&mut self) {
        self.at = self.before();
    }

    pub(super) fn right(&mut self) {
        self.at = self.after();
    }

    pub(super) fn word_left(&mut self) {
        self.at = self.word_before();
    }

    pub(super) fn word_right(&mut self) {
        let rest = &self.text[self.at..];
        let word = rest
            .find(|c: char| !c.is_whitespace())
            .unwrap_or(rest.len());
        let end = rest[word..].find(char::is_whitespace);
        self.at = end.map_or(self.text.len(), |end| self.at + word + end);
    }

    /// To the beginning of the line.
    pub(super) fn home(&mut self) {
        self.at = self.text[..self.at].rfind('\n').map_or(0, |it| it + 1);
    }

    /// To the end of the line.
    pub(super) fn end(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    pub(super) fn cut_word(&mut self) {
        self.replace_from(self.word_before(), "");
    }

    pub(super) fn cut_to_start(&mut self) {
        self.replace_from(0, "");
    }

    pub(super) fn cut_to_end(&mut self) {
        self.text.truncate(self.at);
    }

    fn before(&self) -> usize {
        let mut before = self.text[..self.at].grapheme_indices(true);
        before.next_back().map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        let next = self.text[self.at..].graphemes(true).next();
        self.at + next.map_or(0, str::len)
    }

    fn word_before(&self) -> usize {
        let before = self.text[..self.at].trim_end();
        let gap = before.rfind(char::is_whitespace);
        // What was found is one character of white space, which may take several bytes.
        gap.map_or(0, |gap| {
            gap + before[gap..].chars().next().map_or(1, char::len_utf8)
        })
    }

    /// One line up or down as it stands in so many columns; `false` where there is none.
    pub(super) fn line_step(&mut self, columns: usize, step: isize) -> bool {
        let places = self.places(columns);
        let here = places.iter().find(|place| place.at == self.at);
        let Some((line, column)) = here.map(|it| (it.line, it.column)) else {
            return false;
        };
        let Some(wanted) = line.checked_add_signed(step) else {
            return false;
        };
        let there = places.iter().filter(|place| place.line == wanted);
        let nearest = there.min_by_key(|place| place.column.abs_diff(column));
        let found = nearest.map(|place| place.at);
        self.at = found.unwrap_or(self.at);
        found.is_some()
    }

    /// The text in so many columns: lines break anywhere, so that typing never moves what stands
    /// before.
    pub(super) fn laid(&self, columns: usize) -> Laid {
        let places = self.places(columns);
        let count = places.last().map_or(1, |place| place.line + 1);
        let mut lines = vec![String::new(); count];
        for pair in places.windows(2) {
            let cluster = &self.text[pair[0].at..pair[1].at];
            if cluster != "\n" {
                lines[pair[0].line].push_str(self.mask.unwrap_or(cluster));
            }
        }
        let cursor = places.iter().find(|place| place.at == self.at);
        Laid {
            lines,
            column: cursor.map_or(0, |place| place.column),
            line: cursor.map_or(0, |place| place.line),
        }
    }

    /// Where each character stands, and the end.
    fn places(&self, columns: usize) -> Vec<Placed> {
        let columns = columns.max(2);
        let (mut line, mut column) = (0, 0);
        let mut places = Vec::new();
        for (at, cluster) in self.text.grapheme_indices(true) {
            let wide = width(self.mask.unwrap_or(cluster));
            if cluster != "\n" && column + wide > columns {
                (line, column) = (line + 1, 0);
            }
            places.push(Placed { at, line, column });
            match cluster {
                "\n" => (line, column) = (line + 1, 0),
                _ => column += wide,
            }
        }
        if column >= columns {
            (line, column) = (line + 1, 0);
        }
        let at = self.text.len();
        places.push(Placed { at, line, column });
        places
    }
}

impl fmt::Debug for Editor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.mask.unwrap_or(&self.text);
        write!(f, "Editor({text:?} at {})", self.at)
    }
}

/// Where a character stands.
struct Placed {
    at: usize,
    line: usize,
    column: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn people_edit_characters_and_words_as_they_see_them() {
        let mut editor = Editor::default();
        editor.insert("good 👨‍👩‍👧‍👦 day");
        editor.word_left();
        editor.left();
        editor.backspace();
        assert_eq!(editor.text(), "good  day");
        editor.cut_word();
        assert_eq!(editor.text(), " day");
        editor.word_right();
        editor.insert("s\nnext");
        editor.home();
        editor.delete();
        editor.cut_to_end();
        assert_eq!(editor.text(), " days\n");
        assert_eq!(editor.take(), " days\n");
        assert_eq!(editor, Editor::default());
    }

    #[test]
    fn the_cursor_is_where_the_next_character_goes() {
        let laid = Editor::with("日本語").laid(4);
        assert_eq!(laid.lines, ["日本", "語"]);
        assert_eq!((laid.column, laid.line), (2, 1));
        let laid = Editor::with("abcd").laid(4);
        assert_eq!((laid.column, laid.line), (0, 1));
        let mut editor = Editor::with("abcdef\ng");
        assert!(editor.line_step(4, -1));
        editor.insert("x");
        assert!(editor.line_step(4, -1) && !editor.line_step(4, -1));
        assert_eq!((editor.text(), editor.at()), ("abcdexf\ng", 2));
    }

    #[test]
    fn a_secret_shows_nothing_but_how_long_it_is() {
        let mut editor = Editor::secret();
        editor.insert("日本");
        assert_eq!(editor.laid(9).lines, ["**"]);
        assert_eq!((editor.laid(9).column, editor.text()), (2, "日本"));
        assert!(!format!("{editor:?}").contains('日'));
    }

    proptest! {
        #[test]
        fn whatever_is_pressed_the_cursor_stands_between_characters(
            pasted in prop::collection::vec(".{0,8}", 0..6),
            keys in prop::collection::vec(0_u8..11, 0..40),
        ) {
            let mut editor = Editor::default();
            let mut pasted = pasted.iter();
            for key in keys {
                match key {
                    0 => editor.insert(pasted.next().map_or("x", String::as_str)),
                    1 => editor.backspace(),
                    2 => editor.delete(),
                    3 => editor.left(),
                    4 => editor.right(),
                    5 => editor.word_left(),
                    6 => editor.word_right(),
                    7 => editor.home(),
                    8 => editor.end(),
                    9 => editor.cut_word(),
                    _ => editor.cut_to_end(),
                }
                prop_assert!(editor.text().is_char_boundary(editor.at()));
                let laid = editor.laid(7);
                prop_assert!(laid.line < laid.lines.len() && laid.column <= 7);
            }
        }
    }
}
