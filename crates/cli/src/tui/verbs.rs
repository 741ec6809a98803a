//! The commands as they are explained and completed.

/// A command as it is explained.
pub(super) struct Verb {
    pub(super) name: &'static str,
    pub(super) takes: &'static str,
    pub(super) about: &'static str,
    /// What its words are, for completing them.
    pub(super) words: Words,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    None,
    /// Members of this group.
    Members,
    /// Users who are known from other groups and are not in this one.
    Others,
    /// Users who are known from any group.
    Users,
    Groups,
    Marks,
    Files,
    OnOff,
}

const fn verb(name: &'static str, takes: &'static str, words: Words, about: &'static str) -> Verb {
    Verb {
        name,
        takes,
        about,
        words,
    }
}

/// All commands, in the order in which they are explained.
pub(super) const VERBS: &[Verb] = &[
    verb("help", "", Words::None, "show keys and commands"),
    verb("create", "NAME", Words::None, "create a group"),
    verb("go", "GROUP", Words::Groups, "open a group"),
    verb("add", "USER...", Words::Others, "add users to this group"),
    verb(
        "remove",
        "USER...",
        Words::Members,
        "remove users from this group",
    ),
    verb(
        "members",
        "",
        Words::None,
        "show who is here, and whose key was compared",
    ),
    verb(
        "rename",
        "NAME",
        Words::None,
        "call this group something else",
    ),
    verb(
        "topic",
        "[TEXT]",
        Words::None,
        "say what this group is about",
    ),
    verb(
        "stay",
        "TIME|off",
        Words::None,
        "have messages here be gone after a time",
    ),
    verb(
        "role",
        "USER owner|admin|member",
        Words::Members,
        "say what somebody is in this group",
    ),
    verb(
        "permissions",
        "[add|remove|describe|send everyone|admins|owners]",
        Words::None,
        "show or say who may do what",
    ),
    verb(
        "digits",
        "USER",
        Words::Users,
        "show the digits that you and a user compare",
    ),
    verb(
        "verify",
        "USER [DIGITS]",
        Words::Users,
        "compare digits with a user, and note it",
    ),
    verb(
        "fingerprint",
        "",
        Words::None,
        "show the digits that all members compare",
    ),
    verb("reply", "[#N] TEXT", Words::None, "answer a message"),
    verb(
        "react",
        "[#N] MARK",
        Words::Marks,
        "put a mark on a message",
    ),
    verb(
        "unreact",
        "[#N] MARK",
        Words::Marks,
        "take a mark off again",
    ),
    verb("edit", "[#N] [TEXT]", Words::None, "change what you said"),
    verb("delete", "[#N]", Words::None, "take back what you said"),
    verb(
        "report",
        "[#N] spam|harassment|threat|hate|sexual-abuse-of-children|other [TEXT]",
        Words::None,
        "report a message to who moderates the server, with its proof",
    ),
    verb(
        "expires",
        "TIME TEXT",
        Words::None,
        "say something that is gone after 30s, 10m, 8h or 7d",
    ),
    verb("attach", "FILE", Words::Files, "send a file"),
    verb(
        "save",
        "[#N] [FILE]",
        Words::None,
        "save a file that came with a message",
    ),
    verb(
        "search",
        "WORDS",
        Words::None,
        "find messages in this group",
    ),
    verb("find", "WORDS", Words::None, "find messages in all groups"),
    verb(
        "invite",
        "[DAYS]",
        Words::None,
        "make an invitation to this group",
    ),
    verb(
        "redeem",
        "CODE",
        Words::None,
        "ask to be let in by an invitation",
    ),
    verb("askers", "", Words::None, "show who asks to be let in"),
    verb("approve", "USER", Words::None, "let somebody in who asks"),
    verb("mute", "", Words::None, "do not ring for this group"),
    verb("unmute", "", Words::None, "ring for it again"),
    verb(
        "block",
        "USER",
        Words::Users,
        "show nothing of what a user says",
    ),
    verb("unblock", "USER", Words::Users, "show it again"),
    verb(
        "receipts",
        "[on|off]",
        Words::OnOff,
        "whether others see how far you have read",
    ),
    verb("retry", "", Words::None, "send again what was not sent"),
    verb("drop", "", Words::None, "forget what was not sent"),
    verb("renew", "", Words::None, "renew your keys in this group"),
    verb(
        "export",
        "FILE",
        Words::Files,
        "write this group's history to a file, as JSON",
    ),
    verb("leave", "", Words::None, "leave this group"),
    verb(
        "end",
        "",
        Words::None,
        "delete this group, once you are alone in it",
    ),
    verb("quit", "", Words::None, "end the program"),
];

/// The command that a name means: all of it, or a beginning that only one has.
pub(super) fn find(name: &str) -> Option<&'static Verb> {
    let exact = VERBS.iter().find(|verb| verb.name == name);
    let mut starting = VERBS.iter().filter(|verb| verb.name.starts_with(name));
    exact.or_else(|| match (starting.next(), starting.next()) {
        (Some(verb), None) if !name.is_empty() => Some(verb),
        _ => None,
    })
}
