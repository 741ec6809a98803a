//! `conclave`: one binary, each command thin over a crate.

mod admin;
mod args;
mod bulk;
mod chat;
mod completions;
mod demo;
mod device;
mod hints;
mod invite;
mod message;
mod output;
mod profile;
mod qr;
mod reading;
mod recovery;
mod roles;
mod serve;
mod tui;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    args::{Args, Command},
    output::Output,
};

/// A server that lives for months must not grow by the gaps between what it freed.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// OpenMLS recurses deeper in debug builds than the default stack of 2 MiB always holds.
const STACK_BYTES: usize = 8 * 1024 * 1024;

fn main() -> ExitCode {
    let args = Args::parse();
    let output = Output::new(args.json);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(args, &output)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args, output: &Output) -> anyhow::Result<()> {
    match args.command {
        Command::Serve(serve) => serve::run(serve, output).await,
        Command::Demo(demo) => demo::run(demo).await,
        Command::Completions { shell } => completions::run(shell),
        Command::Admin { command } => admin::run(&command, output),
        Command::Register {
            name,
            server,
            ca,
            code,
        } => {
            let registration = chat::registration(server, ca, code)?;
            chat::register(&args.home, &name, &registration, output).await
        }
        Command::Chat(chat) => tui::run(&args.home, chat).await,
        Command::Whoami => chat::whoami(&args.home, output),
        Command::Group { command } => chat::group(&args.home, command, output).await,
        Command::Invite { command } => invite::run(&args.home, command, output).await,
        Command::Account { command } => invite::account(&args.home, &command, output).await,
        Command::Device { command } => device::run(&args.home, command, output).await,
        Command::Verify {
            user,
            accept_new_key: None,
            qr,
        } => verify::show(&args.home, &user, qr, output).await,
        Command::Verify {
            user,
            accept_new_key: Some(digits),
            ..
        } => verify::accept(&args.home, &user, &digits, output).await,
        Command::Recovery { command } => recovery::run(&args.home, &command, output).await,
        Command::Recover {
            name,
            server,
            ca,
            code,
            revoke_others,
        } => {
            let registration = chat::registration(server, ca, code)?;
            recovery::recover(&args.home, name, &registration, revoke_others, output).await
        }
        Command::Send(send) => message::send(&args.home, &send, output).await,
        Command::React {
            message,
            reaction,
            withdraw,
        } => message::react(&args.home, &message, &reaction, withdraw, output).await,
        Command::Edit { message, text } => message::edit(&args.home, &message, &text, output).await,
        Command::Search {
            words,
            group,
            limit,
        } => reading::search(&args.home, &words, group.as_deref(), limit, output).await,
        Command::Export { group, to } => reading::export(&args.home, &group, &to, output).await,
        Command::Mute { group, undo } => reading::mute(&args.home, &group, !undo, output).await,
        Command::Block { user, undo } => reading::block(&args.home, &user, !undo, output).await,
        Command::Receipts { choice } => reading::receipts(&args.home, choice, output).await,
        Command::Download {
            message,
            number,
            to,
        } => message::download(&args.home, &message, number, to, output).await,
        Command::Delete { message } => message::delete(&args.home, &message, output).await,
        Command::Read(read) => chat::read(&args.home, &read, output).await,
    }
}
