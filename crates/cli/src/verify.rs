//! Seeing that nobody stands between two users, and accepting a key that has changed.

use conclave_client::{Client, Home, UserId};
use serde_json::json;

use crate::{
    chat::sync,
    output::{Output, short, warning},
};

/// Shows digits, or accepts those that were compared.
pub(crate) async fn run(
    home: &Home,
    user: &str,
    accepted: Option<&str>,
    qr: bool,
    output: &Output,
) -> anyhow::Result<()> {
    match accepted {
        None => show(home, user, qr, output).await,
        Some(digits) => accept(home, user, digits, output).await,
    }
}

/// What a user compares with another. Of one who has another key than before, the digits that count
/// come first, those of the other key last.
async fn show(home: &Home, user: &str, qr: bool, output: &Output) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    let user = client.user_named(user)?;
    let digits = client.safety_number(&user).await?;
    let mut value = json!({ "user": user.as_str(), "digits": digits });
    let Some(new) = client.new_safety_number(&user).await? else {
        return Ok(output.code(&digits, &digits.replace(' ', ""), &value, qr)?);
    };
    value["new_digits"] = json!(new);
    warning(&changed(&client, &user));
    let text = format!("before: {digits}\nnow:    {new}");
    output.code(&text, &new.replace(' ', ""), &value, qr)?;
    let name = short(&user, client.user().domain());
    output.remark(&format!(
        "where {name} sees the second line too: `conclave verify {name} --accept-new-key \"{new}\"`"
    ))?;
    Ok(())
}

/// Has a user's new key count.
async fn accept(home: &Home, user: &str, digits: &str, output: &Output) -> anyhow::Result<()> {
    let client = Client::open(home)?;
    let user = client.user_named(user)?;
    client.accept_identity(&user, digits).await?;
    let digits = client.safety_number(&user).await?;
    let text = format!("accepted the new identity key of {user}");
    let value = json!({ "user": user.as_str(), "digits": digits, "accepted": true });
    output.show(&text, &value)?;
    sync(&client).await?;
    Ok(())
}

/// What a person is told about a key that has changed.
pub(crate) fn changed(client: &Client, user: &UserId) -> String {
    let name = short(user, client.user().domain());
    format!(
        "{name} has a new identity key: they registered anew, or somebody pretends to be them. \
         Nothing is encrypted to them until you compare digits: `conclave verify {name}`"
    )
}
