//! How old a program may be that asks.

use std::{fmt, str::FromStr};

/// The version of a client, as it says it: `MAJOR.MINOR.PATCH`. What follows a `-` or `+` is not
/// compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientVersion([u32; 3]);

impl FromStr for ClientVersion {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const PROBLEM: &str = "a version is three numbers, such as 0.2.0";
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let mut parts = numbers.split('.');
        let mut version = [0; 3];
        for part in &mut version {
            let number = parts.next().ok_or(PROBLEM)?;
            *part = number.parse().map_err(|_| PROBLEM)?;
        }
        match parts.next() {
            None => Ok(Self(version)),
            Some(_) => Err(PROBLEM),
        }
    }
}

impl fmt::Display for ClientVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        let version = |text: &str| text.parse::<ClientVersion>().unwrap();
        assert!(version("0.10.0") > version("0.9.9"));
        assert!(version("1.0.0") > version("0.99.0"));
        assert_eq!(version("0.2.0-beta.1"), version("0.2.0"));
        for wrong in ["", "1", "1.2", "1.2.3.4", "1.2.x", "-1.2.3", "1..2"] {
            assert!(wrong.parse::<ClientVersion>().is_err(), "{wrong}");
        }
    }
}
