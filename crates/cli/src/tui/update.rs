//! One step of the terminal: something happened, and this is to be done.

mod compose;
mod keys;
mod news;
mod verbs;

pub(super) use self::verbs::path;
use conclave_client::{GroupId, UnixMillis};

use super::{
    chat::{Chat, Panel},
    complete,
    event::{Done, Effect, Event, Load, Progress, Span},
    model::{Model, Stage},
    room::{Outgoing, Sending},
    scroll::{Place, Scroll},
};

/// Takes in what happened, and says what is to be done.
pub(super) fn update(model: &mut Model, event: Event, now: UnixMillis) -> Vec<Effect> {
    model.now = now;
    if let Event::Resized(columns, lines) = event {
        model.size = (columns, lines);
        return Vec::new();
    }
    let effects = match (&mut model.stage, event) {
        (Stage::Guide(_), Event::Opened(user)) => {
            let mut chat = Chat::new(user, now);
            let text = "you are registered; `conclave recovery show` has words to write down";
            chat.say(text, now);
            model.stage = Stage::Chat(Box::new(chat));
            return vec![Effect::Load(Load::Groups)];
        }
        (Stage::Chat(_), Event::Opened(_)) => return vec![Effect::Load(Load::Groups)],
        (Stage::Guide(guide), Event::Key(key)) => return guide.key(key),
        (Stage::Guide(guide), Event::Paste(text)) => {
            guide.paste(&text);
            return Vec::new();
        }
        (Stage::Guide(guide), Event::NotRegistered(refusal)) => {
            guide.refused(refusal);
            return Vec::new();
        }
        (Stage::Guide(_), _) => return Vec::new(),
        (Stage::Chat(_), Event::Key(key)) => keys::press(model, key),
        (Stage::Chat(chat), event) => of_chat(chat, event, now),
    };
    with_marks(model, effects)
}

/// What was done, and that the person has read what is shown now.
fn with_marks(model: &mut Model, mut effects: Vec<Effect>) -> Vec<Effect> {
    if let Stage::Chat(chat) = &mut model.stage {
        effects.extend(chat.mark_read());
    }
    effects
}

fn of_chat(chat: &mut Chat, event: Event, now: UnixMillis) -> Vec<Effect> {
    match event {
        Event::Paste(text) => {
            chat.draft_mut().insert(&text);
            keys::typed(chat, now)
        }
        Event::Focus(has_focus) => {
            chat.has_focus = has_focus;
            Vec::new()
        }
        Event::Tick => {
            chat.tick(now);
            Vec::new()
        }
        Event::News(news) => news::take(chat, news, now),
        Event::Stopped(reason) => {
            chat.connection = super::chat::Connection::Stopped(reason);
            Vec::new()
        }
        Event::Groups(states, changed) => chat.groups(states, changed),
        Event::Details(group, details) => {
            chat.meet(details.members.iter().map(|member| member.user.clone()));
            if let Some(room) = chat.room_of(group) {
                room.details = details;
            }
            Vec::new()
        }
        Event::Read(group, receipts) => {
            if let Some(room) = chat.room_of(group) {
                room.receipts = receipts;
            }
            Vec::new()
        }
        Event::Unread(group, unread) => {
            if let Some(room) = chat.room_of(group) {
                room.take_unread(unread);
            }
            Vec::new()
        }
        Event::Marked(group) => vec![Effect::Load(Load::Unread(group))],
        Event::History(group, span, entries) => history(chat, group, span, entries),
        Event::Waiting(group, waiting) => {
            kept(chat, group, waiting);
            Vec::new()
        }
        Event::Outgoing(group, local, progress) => outgoing(chat, group, local, progress),
        Event::Done(done) => {
            chat.busy = chat.busy.saturating_sub(1);
            finished(chat, done, now)
        }
        Event::Failed(reason) => {
            chat.busy = chat.busy.saturating_sub(1);
            chat.complain(reason, now);
            // What was not done may have been done in part, or be kept for later.
            chat.open.map_or_else(Vec::new, |it| chat.history_again(it))
        }
        Event::NotRead(reason) => {
            chat.complain(reason, now);
            Vec::new()
        }
        Event::Files(beginning, names) => {
            let draft = chat.draft();
            let line = &draft.text()[..draft.at()];
            chat.completion = complete::files(line, &beginning, names);
            keys::complete_alike(chat);
            Vec::new()
        }
        Event::Key(_) | Event::Resized(..) | Event::Opened(_) | Event::NotRegistered(_) => {
            Vec::new()
        }
    }
}

fn history(
    chat: &mut Chat,
    group: GroupId,
    span: Span,
    entries: Vec<conclave_client::Entry>,
) -> Vec<Effect> {
    chat.meet(entries.iter().map(|entry| entry.author.clone()));
    let Some(room) = chat.room_of(group) else {
        return Vec::new();
    };
    if let Span::Around(at) = span {
        room.selected = Some(at);
        room.scroll = Scroll::At(Place::Entry(at), 0);
    }
    let reads_back = room.scroll != Scroll::End;
    let missing = room.window.take(span, entries, reads_back);
    room.forget_landed();
    if room.selected.is_some_and(|at| room.posted(at).is_none()) {
        room.selected = None;
    }
    let load = |span| Effect::Load(Load::History(group, span));
    missing.map(load).into_iter().collect()
}

/// Shows what was in the outbox already.
fn kept(chat: &mut Chat, group: GroupId, waiting: Vec<conclave_client::Waiting>) {
    let mut next_local = chat.next_local;
    if let Some(room) = chat.room_of(group) {
        for kept in waiting {
            let is_known = |it: &Outgoing| it.id.as_ref() == Some(&kept.id);
            if room.outgoing.iter().any(is_known) {
                continue;
            }
            room.outgoing.push(Outgoing {
                local: next_local,
                id: Some(kept.id),
                message: kept.message,
                file: None,
                state: Sending::Waits,
            });
            next_local += 1;
        }
    }
    chat.next_local = next_local;
}

fn outgoing(chat: &mut Chat, group: GroupId, local: u64, progress: Progress) -> Vec<Effect> {
    let is_online = chat.is_online();
    let Some(sent) = chat.room_of(group).and_then(|it| it.outgoing_mut(local)) else {
        return Vec::new();
    };
    match progress {
        Progress::Uploaded(percent) => sent.state = Sending::Going(Some(percent)),
        Progress::Kept(id) => {
            sent.id = Some(id);
            // Where the service is away, the connection that is made next sends it.
            if is_online {
                sent.state = Sending::Going(None);
                return vec![Effect::Settle { group, local, id }];
            }
            sent.state = Sending::Waits;
        }
        Progress::Landed(at) => {
            sent.state = Sending::Landed(at);
            if let Some(room) = chat.room_of(group) {
                room.forget_landed();
            }
            return chat.history_again(group);
        }
        Progress::Waits => sent.state = Sending::Waits,
        Progress::Failed(reason) => sent.state = Sending::Failed(reason),
    }
    Vec::new()
}

fn finished(chat: &mut Chat, done: Done, now: UnixMillis) -> Vec<Effect> {
    let mut effects = vec![Effect::Load(Load::Groups)];
    match done {
        Done::Said(text) => {
            if !text.is_empty() {
                chat.say(text, now);
            }
        }
        Done::Page(title, lines) => {
            chat.panel = Some(Panel::Text {
                title,
                lines,
                top: 0,
            });
        }
        Done::Asks(question, action) => {
            chat.panel = Some(Panel::Sure { question, action });
            return Vec::new();
        }
        Done::Entered(group, text) => {
            chat.say(text, now);
            chat.wanted = group;
        }
        Done::Found(query, entries) if entries.is_empty() => {
            chat.say(
                format!("nothing that this device has read has {query}"),
                now,
            );
        }
        Done::Found(query, entries) => {
            chat.panel = Some(Panel::Found {
                query,
                entries,
                chosen: 0,
            });
            return Vec::new();
        }
    }
    if let Some(open) = chat.open {
        effects.push(Effect::Load(Load::Details(open)));
        effects.extend(chat.history_again(open));
    }
    effects
}
