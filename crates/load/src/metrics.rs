//! What a server says of itself: Prometheus' text, over plain HTTP.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    LoadError,
    limits::{METRICS_BYTES_MAX, METRICS_TIMEOUT},
};

/// Each series by its name and labels, and its value.
pub(crate) type Metrics = BTreeMap<String, f64>;

/// Asks for the metrics at an address like `http://127.0.0.1:9090/metrics`.
pub(crate) async fn fetch(url: &str) -> Result<Metrics, LoadError> {
    let answer = timeout(METRICS_TIMEOUT, fetch_text(url)).await;
    let late = || format!("no answer within {} s", Duration::as_secs(&METRICS_TIMEOUT));
    let text = answer.unwrap_or_else(|_| Err(late()));
    Ok(parse(&text.map_err(LoadError::Metrics)?))
}

async fn fetch_text(url: &str) -> Result<String, String> {
    let (host, path) = place(url).ok_or("write the address like http://127.0.0.1:9090/metrics")?;
    let said = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(host).await.map_err(said)?;
    // HTTP/1.0: the answer comes in one piece, and the connection's end is its end.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: text/plain\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(said)?;
    let mut answer = Vec::new();
    let mut bounded = stream.take(METRICS_BYTES_MAX);
    bounded.read_to_end(&mut answer).await.map_err(said)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("this is no HTTP")?;
    let status = head.split_whitespace().nth(1);
    match status {
        Some("200") => Ok(body.to_owned()),
        other => Err(format!("HTTP status {}", other.unwrap_or("none"))),
    }
}

/// The host with its port, and the path.
fn place(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/metrics"),
    };
    host.rsplit_once(':')?.1.parse::<u16>().ok()?;
    Some((host, path))
}

/// Comments, and what is no number, are left out.
fn parse(text: &str) -> Metrics {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            // A label's value may hold spaces; what follows the labels does not.
            let after_labels = line.rfind('}').map_or(0, |brace| brace + 1);
            let space = after_labels + line.get(after_labels..)?.find(' ')?;
            let (name, rest) = line.split_at(space);
            let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
            value.is_finite().then(|| (name.to_owned(), value))
        })
        .collect()
}

/// What is another number than before.
pub(crate) fn differences(before: &Metrics, after: &Metrics) -> Metrics {
    let difference = |(name, value): (&String, &f64)| {
        let difference = value - before.get(name).copied().unwrap_or_default();
        (difference != 0.0).then(|| (name.clone(), difference))
    };
    after.iter().filter_map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told() {
        let before = parse("# HELP a b\na_total 3\nb{x=\"1 }\",y=\"z\"} 2.5 1700000000\nc NaN\n");
        assert_eq!(before.len(), 2);
        assert_eq!(before["b{x=\"1 }\",y=\"z\"}"], 2.5);
        let after = parse("a_total 10\nb{x=\"1 }\",y=\"z\"} 2.5\nnew 1\nno number\n");
        let changed = differences(&before, &after);
        assert_eq!(
            changed,
            BTreeMap::from([("a_total".into(), 7.0), ("new".into(), 1.0)])
        );
    }

    #[test]
    fn addresses_are_split() {
        assert_eq!(place("http://a:1/x/y"), Some(("a:1", "/x/y")));
        assert_eq!(place("http://[::1]:9090"), Some(("[::1]:9090", "/metrics")));
        assert_eq!(place("https://a:1/x"), None);
        assert_eq!(place("http://a/x"), None);
    }
}
