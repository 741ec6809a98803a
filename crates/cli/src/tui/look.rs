//! How things look: few colours, each of which something else says too.

use conclave_client::{UnixMillis, UserId};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use ratatui::style::{Color, Modifier, Style};

/// Colours of names. All are readable on a dark and on a light ground.
const NAMES: [Color; 6] = [
    Color::Cyan,
    Color::Green,
    Color::Magenta,
    Color::Yellow,
    Color::Blue,
    Color::Red,
];

/// What the terminal can show, and where its reader is.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) has_colour: bool,
    pub(super) zone: TimeZone,
}

impl Look {
    /// As the environment says; `NO_COLOR` is the convention of <https://no-color.org>.
    pub(super) fn of_environment() -> Self {
        Self {
            has_colour: std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty()),
            zone: TimeZone::system(),
        }
    }

    pub(super) fn plain(&self) -> Style {
        Style::new()
    }

    pub(super) fn faint(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn strong(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn chosen(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn good(&self) -> Style {
        self.coloured(Color::Green, Modifier::empty())
    }

    pub(super) fn bad(&self) -> Style {
        self.coloured(Color::Red, Modifier::BOLD)
    }

    pub(super) fn waiting(&self) -> Style {
        self.coloured(Color::Yellow, Modifier::empty())
    }

    /// A user's name, always in the same colour.
    pub(super) fn name(&self, user: &UserId) -> Style {
        let sum = user.as_str().bytes().fold(0_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(usize::from(byte))
        });
        self.coloured(NAMES[sum % NAMES.len()], Modifier::BOLD)
    }

    fn coloured(&self, colour: Color, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        if self.has_colour {
            style.fg(colour)
        } else {
            style
        }
    }

    /// The time of day, where the reader is.
    pub(super) fn clock(&self, time: UnixMillis) -> String {
        self.there(time)
            .map_or_else(|| "--:--".to_owned(), |it| it.strftime("%H:%M").to_string())
    }

    /// The day, where the reader is; the year only where it is another one.
    pub(super) fn day(&self, time: UnixMillis, now: UnixMillis) -> String {
        let this_year = self.there(now).map(|it| it.year());
        let Some(there) = self.there(time) else {
            return "some day".to_owned();
        };
        let form = if Some(there.year()) == this_year {
            "%A, %-d %B"
        } else {
            "%A, %-d %B %Y"
        };
        there.strftime(form).to_string()
    }

    fn there(&self, time: UnixMillis) -> Option<Zoned> {
        let millis = i64::try_from(time.0).ok()?;
        let time = Timestamp::from_millisecond(millis).ok()?;
        Some(time.to_zoned(self.zone.clone()))
    }
}
