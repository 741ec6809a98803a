//! Text from elsewhere as a terminal may show it: nothing in it moves the cursor, hides, or passes for
//! something else.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use crate::output::is_bidi_control;

/// Code points that stand in one place. Families of emoji have up to eleven; letters with more marks
/// than that would be drawn over their neighbours.
const CLUSTER_MAX: usize = 12;

/// Several lines, each of printable characters.
pub(super) fn clean(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for cluster in text.graphemes(true) {
        if matches!(cluster, "\n" | "\r\n") {
            shown.push('\n');
        } else {
            shown.extend(cluster.chars().filter_map(printable).take(CLUSTER_MAX));
        }
    }
    shown
}

/// One line of printable characters.
pub(super) fn clean_line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

/// What is shown for a character; `None` for one that nobody would see.
fn printable(c: char) -> Option<char> {
    match c {
        '\t' => Some(' '),
        _ if c.is_control() || is_bidi_control(c) => Some('\u{fffd}'),
        // Separators of lines and paragraphs, which some terminals obey.
        '\u{2028}' | '\u{2029}' => Some('\u{fffd}'),
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' => None,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => None,
        '\u{e0000}'..='\u{e007f}' => None,
        _ => Some(c),
    }
}

/// The columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.graphemes(true).map(|cluster| cluster.width()).sum()
}

/// As much of a text as fits, with a mark where something is missing.
pub(super) fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut fitting = head(text, columns.saturating_sub(1)).to_owned();
    if columns > 0 {
        fitting.push('…');
    }
    fitting
}

/// Like [`fit`], filled up with spaces.
pub(super) fn pad(text: &str, columns: usize) -> String {
    let mut padded = fit(text, columns);
    let missing = columns.saturating_sub(width(&padded));
    padded.extend(std::iter::repeat_n(' ', missing));
    padded
}

/// The longest beginning that takes at most so many columns.
fn head(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    for (at, cluster) in text.grapheme_indices(true) {
        taken += cluster.width();
        if taken > columns {
            return &text[..at];
        }
    }
    text
}

/// Breaks a text into lines of at most so many columns, between words where that is possible.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    text.split('\n')
        .flat_map(|line| wrap_line(line, columns))
        .collect()
}

fn wrap_line(line: &str, columns: usize) -> Vec<String> {
    let (mut lines, mut current, mut taken) = (Vec::new(), String::new(), 0);
    for word in line.split_word_bounds() {
        let wide = width(word);
        if taken + wide <= columns {
            current.push_str(word);
            taken += wide;
            continue;
        }
        // A space at the end of a line is seen by nobody.
        if word.chars().all(char::is_whitespace) {
            lines.push(std::mem::take(&mut current));
            taken = 0;
            continue;
        }
        if taken > 0 {
            lines.push(std::mem::take(&mut current).trim_end().to_owned());
        }
        let mut rest = word;
        while width(rest) > columns {
            let fitting = head(rest, columns);
            lines.push(fitting.to_owned());
            rest = &rest[fitting.len()..];
        }
        taken = width(rest);
        rest.clone_into(&mut current);
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_drive_a_terminal_is_not_left() {
        let hostile = "a\u{1b}]0;x\u{7}\u{9b}2J\r\u{202e}b\u{2028}c\u{200b}\u{feff}d\te";
        let shown = clean_line(hostile);
        assert_eq!(
            shown,
            "a\u{fffd}]0;x\u{fffd}\u{fffd}2J\u{fffd}\u{fffd}b\u{fffd}cd e"
        );
        let tower = format!("o{}", "\u{301}".repeat(500));
        assert_eq!(clean(&tower).chars().count(), CLUSTER_MAX);
        let family = "👨‍👩‍👧‍👦";
        assert_eq!(clean(family), family);
    }

    #[test]
    fn lines_break_between_words_and_long_words_break_somewhere() {
        assert_eq!(wrap("to be or not", 6), ["to be", "or not"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("日本語です", 5), ["日本", "語で", "す"]);
        assert_eq!(wrap("a\n\nb", 5), ["a", "", "b"]);
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(pad("日", 4), "日  ");
    }

    proptest! {
        #[test]
        fn whatever_somebody_says_stays_in_its_place(text in "\\PC*|.*", columns in 2_usize..40) {
            let shown = clean(&text);
            prop_assert!(!shown.chars().any(|c| c != '\n' && (c.is_control() || is_bidi_control(c))));
            for line in wrap(&shown, columns) {
                prop_assert!(width(&line) <= columns, "{line:?}");
            }
        }
    }
}
