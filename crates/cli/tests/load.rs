//! `conclave load` against a real server: what it sends is decrypted by all, and a server that goes away
//! shows in the report.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod common;

use std::{
    process::{Child, Output, Stdio},
    time::{Duration, Instant},
};

use common::{Server, complains, conclave};
use serde_json::Value;

/// Much longer than a run and its end last: only a hang takes so long.
const PATIENCE: Duration = Duration::from_secs(600);

#[test]
fn what_is_sent_is_decrypted_by_all() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let server = Server::start(&data, &["--listen", "127.0.0.1:0", "--unlimited"]);
    let rates = ["--messages-per-second", "10", "--churn-per-minute", "60"];
    let sizes = ["--users", "8", "--groups", "2", "--size", "5"];
    let times = ["--ramp", "1s", "--duration", "6s", "--json"];
    let output = finish(start(&server.url, &[&rates[..], &sizes, &times].concat()));
    assert!(output.status.success(), "{}", said(&output));
    // It is no terminal, so nothing moves on it.
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let report = report(&output);
    let count = |name: &str| report[name].as_u64().unwrap();
    assert!(count("due") > 20, "{report}");
    assert_eq!(count("sent"), count("due"));
    // Groups stay between three and seven, and whoever says something does not decrypt it.
    assert!(count("decrypted") >= 2 * count("sent"), "{report}");
    assert_eq!(
        (count("missing"), count("unanswered"), count("on_their_way")),
        (0, 0, 0)
    );
    assert!(count("joined") + count("left") > 0, "{report}");
    assert!(count("commits") >= 2, "{report}");
    let times = &report["times"]["decrypted"];
    assert_eq!(times["count"], report["decrypted"]);
    assert!(times["p50_ms"].as_f64() > Some(0.0));
    assert!(times["p50_ms"].as_f64() <= times["p999_ms"].as_f64());
    assert_eq!(report["errors"], serde_json::json!({}));
}

#[test]
fn a_server_that_goes_away_shows_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let mut server = Server::start(&data, &["--listen", "127.0.0.1:0", "--unlimited"]);
    let sizes = ["--users", "3", "--groups", "1", "--size", "3"];
    let times = ["--messages-per-second", "5", "--duration", "12s", "--json"];
    let run = start(&server.url, &[&sizes[..], &times].concat());
    wait_for_groups(&data);
    std::thread::sleep(Duration::from_secs(3));
    server.child.kill().unwrap();
    let output = finish(run);
    complains(&output, &["not all went well"]);
    let report = report(&output);
    assert!(
        report["errors"]["follow: the connection was lost"].as_u64() > Some(0),
        "{report}"
    );
    let sent = report["sent"].as_u64().unwrap();
    assert!(sent < report["due"].as_u64().unwrap(), "{report}");
}

#[test]
fn what_is_no_plan_is_refused_before_anybody_is_registered() {
    // Nobody listens there.
    let url = "http://127.0.0.1:9";
    let output = finish(start(url, &["--users", "3", "--size", "4"]));
    complains(&output, &["at most as many as there are users"]);
    let output = finish(start(url, &["--users", "3", "--size", "3"]));
    complains(&output, &["can't be registered", "can't be reached"]);
}

#[cfg(unix)]
#[test]
fn whoever_ends_it_early_gets_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let server = Server::start(&data, &["--listen", "127.0.0.1:0", "--unlimited"]);
    let sizes = ["--users", "2", "--groups", "1", "--size", "2"];
    let run = start(&server.url, &[&sizes[..], &["--duration", "1h"]].concat());
    wait_for_groups(&data);
    std::thread::sleep(Duration::from_secs(3));
    let id = run.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(killed.unwrap().success());
    let output = finish(run);
    assert!(output.status.success(), "{}", said(&output));
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.contains("ended early"), "{report}");
    assert!(report.contains("decrypted"), "{report}");
}

/// So many joins and leaves a minute, for so long, in a group of so many: few Commits, and nobody is lost.
fn storm(size: usize, churn_per_minute: u64, seconds: u64, commits_max: u64) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let server = Server::start(&data, &["--listen", "127.0.0.1:0", "--unlimited"]);
    let (users, size) = ((2 * size).to_string(), size.to_string());
    let (churn, duration) = (churn_per_minute.to_string(), format!("{seconds}s"));
    let args = [
        ["--users", &users],
        ["--groups", "1"],
        ["--size", &size],
        ["--messages-per-second", "2"],
        ["--churn-per-minute", &churn],
        ["--duration", &duration],
        ["--seed", "1"],
    ];
    let output = finish(start(
        &server.url,
        &[args.as_flattened(), &["--json"]].concat(),
    ));
    assert!(output.status.success(), "{}", said(&output));
    let report = report(&output);
    println!("{report:#}");
    let count = |name: &str| report[name].as_u64().unwrap();
    let changes = count("joined") + count("left");
    assert!(
        changes * 60 * 3 >= churn_per_minute * seconds * 2,
        "{report}"
    );
    assert!(count("commits") <= commits_max, "{report}");
}

#[test]
fn many_who_come_and_go_at_once_cost_few_commits() {
    storm(12, 240, 12, 16);
}

#[test]
#[ignore = "takes minutes, best in release: see docs/performance.md"]
fn a_thousand_who_come_and_go_in_a_minute_cost_tens_of_commits() {
    let size = std::env::var("CONCLAVE_STORM").map(|it| it.parse().unwrap());
    storm(size.unwrap_or(100), 1_000, 60, 99);
}

fn start(url: &str, args: &[&str]) -> Child {
    conclave()
        .args(["load", "--server", url])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn finish(mut run: Child) -> Output {
    let begun = Instant::now();
    while run.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            run.kill().unwrap();
            panic!("it hangs: {}", said(&run.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    run.wait_with_output().unwrap()
}

/// Waits until the server has a group.
fn wait_for_groups(data: &std::path::Path) {
    let begun = Instant::now();
    let count = || -> Option<u64> {
        let database = rusqlite::Connection::open(data.join("conclave.db")).ok()?;
        let count = database.query_row("SELECT count(*) FROM mls_group", (), |row| row.get(0));
        count.ok()
    };
    while count().is_none_or(|count| count == 0) {
        assert!(begun.elapsed() < PATIENCE, "no group is made");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)))
}

fn said(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(error)
    )
}
