//! The first run: where to register, and under which name.

use std::path::PathBuf;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    editor::Editor,
    event::{Effect, Refusal},
};

/// What is suggested where nothing was given: where `conclave serve` listens.
pub(super) const SERVER: &str = "http://127.0.0.1:4400";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Server,
    Name,
    Code,
}

/// The questions, and what was answered.
#[derive(Debug)]
pub(super) struct Guide {
    pub(super) home: PathBuf,
    pub(super) server: Editor,
    pub(super) name: Editor,
    /// Asked only where the server asks for it.
    pub(super) code: Option<Editor>,
    pub(super) field: Field,
    /// Registering goes on.
    pub(super) is_busy: bool,
    pub(super) refusal: Option<Refusal>,
}

impl Guide {
    pub(super) fn new(home: PathBuf, server: &str, name: &str) -> Self {
        let field = if server.is_empty() {
            Field::Server
        } else {
            Field::Name
        };
        let server = if server.is_empty() { SERVER } else { server };
        Self {
            home,
            server: Editor::with(server),
            name: Editor::with(name),
            code: None,
            field,
            is_busy: false,
            refusal: None,
        }
    }

    pub(super) fn refused(&mut self, refusal: Refusal) {
        self.is_busy = false;
        if let Some(field) = refusal.about {
            self.field = field;
            if field == Field::Code {
                self.code.get_or_insert_default();
            }
        }
        self.refusal = Some(refusal);
    }

    /// The questions that are asked.
    pub(super) fn fields(&self) -> impl DoubleEndedIterator<Item = (Field, &Editor)> {
        let code = self.code.as_ref().map(|it| (Field::Code, it));
        [(Field::Server, &self.server), (Field::Name, &self.name)]
            .into_iter()
            .chain(code)
    }

    pub(super) fn paste(&mut self, text: &str) {
        let line = super::text::clean_line(text);
        self.editor().insert(line.trim());
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd' | 'q') if control => return vec![Effect::Quit],
            KeyCode::Esc => return vec![Effect::Quit],
            KeyCode::Char('l') if control => return vec![Effect::Redraw],
            _ if self.is_busy => {}
            KeyCode::Enter => return self.enter(),
            KeyCode::Tab | KeyCode::Down => self.go(1),
            KeyCode::BackTab | KeyCode::Up => self.go(-1),
            KeyCode::Char('u') if control => self.editor().cut_to_start(),
            KeyCode::Char(c) if !control => self.editor().insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace => self.editor().backspace(),
            KeyCode::Delete => self.editor().delete(),
            KeyCode::Left => self.editor().left(),
            KeyCode::Right => self.editor().right(),
            KeyCode::Home => self.editor().home(),
            KeyCode::End => self.editor().end(),
            _ => {}
        }
        Vec::new()
    }

    /// On to the first question without an answer; registers where there is none.
    fn enter(&mut self) -> Vec<Effect> {
        let blank = |editor: &Editor| editor.text().trim().is_empty();
        let missing = self.fields().find(|(_, editor)| blank(editor));
        if let Some((field, _)) = missing {
            self.field = field;
            return Vec::new();
        }
        // The name is asked after the server also where it was given.
        if self.field == Field::Server && self.refusal.is_none() {
            self.field = Field::Name;
            return Vec::new();
        }
        self.is_busy = true;
        self.refusal = None;
        let answer = |editor: &Editor| editor.text().trim().to_owned();
        vec![Effect::Register {
            server: answer(&self.server),
            name: answer(&self.name),
            code: self.code.as_ref().map(answer),
        }]
    }

    fn go(&mut self, step: isize) {
        let fields: Vec<Field> = self.fields().map(|(field, _)| field).collect();
        let at = fields.iter().position(|field| *field == self.field);
        let next = at.unwrap_or(0).saturating_add_signed(step);
        self.field = fields[next.min(fields.len() - 1)];
    }

    fn editor(&mut self) -> &mut Editor {
        match self.field {
            Field::Server => &mut self.server,
            Field::Name => &mut self.name,
            Field::Code => self.code.get_or_insert_default(),
        }
    }
}
