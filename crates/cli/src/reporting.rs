//! Reporting what was said.

use conclave_client::{Client, Home, Report, Sequence};
use serde_json::json;

use crate::{args, chat::find, output::Output};

/// Reports messages to those who moderate the server.
pub(crate) async fn report(
    home: &Home,
    wanted: &args::Report,
    output: &Output,
) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    let (group, _) = find(&client, &wanted.group).await?;
    let mut messages: Vec<Sequence> = Vec::new();
    for text in &wanted.messages {
        let text = text.strip_prefix('#').unwrap_or(text);
        messages.push(client.message_named(group.id, text).await?.sequence);
    }
    let report = Report {
        messages,
        around: wanted.around,
        category: wanted.category,
        comment: wanted.comment.clone(),
    };
    let id = client.report(group.id, &report).await?;
    let value = json!({
        "group": group.id.to_string(),
        "report": id.to_string(),
        "messages": report.messages.iter().map(|it| it.0).collect::<Vec<_>>(),
        "category": report.category.as_str(),
    });
    output.show(&format!("reported; the report is called {id}"), &value)?;
    Ok(())
}
