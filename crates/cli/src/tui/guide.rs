//! The first run: where to register, and under which name.

use std::path::PathBuf;

use conclave_client::{ClientError, Passphrase};
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
    Passphrase,
    Again,
}

/// The questions, and what was answered.
#[derive(Debug)]
pub(super) struct Guide {
    pub(super) home: PathBuf,
    pub(super) server: Editor,
    pub(super) name: Editor,
    /// Asked only where the server asks for it.
    pub(super) code: Option<Editor>,
    /// Asked where the home is new and nobody has given one; may stay empty.
    pub(super) passphrase: Option<Editor>,
    /// The passphrase once more, where there is one.
    again: Editor,
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
            passphrase: None,
            again: Editor::secret(),
            field,
            is_busy: false,
            refusal: None,
        }
    }

    pub(super) fn ask_for_passphrase(&mut self) {
        self.passphrase = Some(Editor::secret());
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
        let passphrase = self.passphrase.as_ref();
        let again = passphrase.filter(|it| !it.is_empty()).map(|_| &self.again);
        [(Field::Server, &self.server), (Field::Name, &self.name)]
            .into_iter()
            .chain(code)
            .chain(passphrase.map(|it| (Field::Passphrase, it)))
            .chain(again.map(|it| (Field::Again, it)))
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

    /// On to the first question without an answer, then to the next one; registers after the last, or
    /// where somebody has mended what was wrong.
    fn enter(&mut self) -> Vec<Effect> {
        let blank = |editor: &Editor| editor.text().trim().is_empty();
        let missing = self.fields().find(|(_, editor)| blank(editor));
        if let Some((field, _)) = missing.filter(|(field, _)| *field != Field::Passphrase) {
            self.field = field;
            return Vec::new();
        }
        let last = self.fields().next_back().map(|(field, _)| field);
        if Some(self.field) != last && self.refusal.is_none() {
            self.go(1);
            return Vec::new();
        }
        match self.chosen_passphrase() {
            Ok(passphrase) => self.register(passphrase),
            Err(refusal) => {
                self.refused(refusal);
                Vec::new()
            }
        }
    }

    /// The passphrase, where both lines say the same.
    fn chosen_passphrase(&mut self) -> Result<Option<Passphrase>, Refusal> {
        let Some(first) = self.passphrase.as_ref().filter(|it| !it.is_empty()) else {
            return Ok(None);
        };
        let refusal = |text: String, about| Refusal {
            text,
            about: Some(about),
        };
        if first.text() != self.again.text() {
            self.again = Editor::secret();
            return Err(refusal(
                "these two are not the same".to_owned(),
                Field::Again,
            ));
        }
        let chosen = first.text().parse();
        chosen
            .map(Some)
            .map_err(|error: ClientError| refusal(error.to_string(), Field::Passphrase))
    }

    fn register(&mut self, passphrase: Option<Passphrase>) -> Vec<Effect> {
        self.is_busy = true;
        self.refusal = None;
        let answer = |editor: &Editor| editor.text().trim().to_owned();
        vec![Effect::Register {
            server: answer(&self.server),
            name: answer(&self.name),
            code: self.code.as_ref().map(answer),
            passphrase,
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
            Field::Passphrase => self.passphrase.get_or_insert_with(Editor::secret),
            Field::Again => &mut self.again,
        }
    }
}
