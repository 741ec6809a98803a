use super::*;

/// A method that is added has to be named here, or it would be counted as something else.
#[test]
fn every_method_has_its_name_and_nothing_else_has_one() {
    let interface = include_str!("../../../../proto/conclave/delivery/v1/delivery.proto");
    let methods = interface
        .lines()
        .filter_map(|line| line.trim().strip_prefix("rpc "));
    let methods: Vec<_> = methods.filter_map(|it| it.split('(').next()).collect();
    assert_eq!(methods, METHODS);
    for name in methods {
        assert_eq!(
            method(&format!("/conclave.delivery.v1.DeliveryService/{name}")),
            name
        );
    }
    for path in ["", "/", "/alice@example.org", "/a/Submit2", "Submit/"] {
        assert_eq!(method(path), "other");
    }
}

#[test]
fn numbers_are_shown_by_method_status_and_reason() {
    let metrics = Metrics::default();
    let registry = metrics.registry();
    for code in [Code::Ok, Code::Ok, Code::NotFound] {
        let took = Duration::from_millis(3);
        metrics.requests.answered("Submit", code, took);
    }
    metrics.requests.refusals().note(&Refusal::NotMember);
    metrics.readers.appended();
    metrics.commits.ended(Instant::now(), 3, true);
    metrics.commits.ended(Instant::now(), 5, false);
    metrics.connections.inc();
    let shown = render(&registry);
    for line in [
        r#"conclave_requests_total{method="Submit",code="OK"} 2"#,
        r#"conclave_requests_total{method="Submit",code="NOT_FOUND"} 1"#,
        r#"conclave_request_seconds_bucket{le="0.005",method="Submit"} 3"#,
        r#"conclave_refusals_total{reason="not_member"} 1"#,
        "conclave_log_entries_total 1",
        "conclave_streams 0",
        "conclave_connections 1",
        "conclave_store_commit_seconds_count 1",
        r#"conclave_store_commit_writes_bucket{le="4.0"} 1"#,
        "conclave_store_commits_failed_total 1",
        "# EOF",
    ] {
        assert!(shown.lines().any(|it| it == line), "{line}\n{shown}");
    }
}
