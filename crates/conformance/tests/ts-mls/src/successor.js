// Groups that come of a group (RFC 9420, sections 11.2 and 11.3).

import {
  branchGroup,
  ciphersuites,
  joinGroupFromBranch,
  joinGroupFromReinit,
  reinitCreateNewGroup,
} from "ts-mls"
import { encodeExtension } from "ts-mls/extension.js"
import { encodeRatchetTree } from "ts-mls/ratchetTree.js"
import { Client } from "./client.js"
import { identity, keyPackage } from "./identity.js"
import { unsupported } from "./status.js"
import * as wire from "./wire.js"

/** The library makes the new group's Commit itself, in one form only. */
function checkForm({ force_path: forcePath, external_tree: externalTree }) {
  if (forcePath) throw unsupported("the first Commit of a subgroup or successor has a path by no wish")
  if (!externalTree) throw unsupported("the Welcome to a subgroup or successor can't carry the tree")
}

const packages = (messages) => messages.map((message) => wire.carried("keyPackage", message))

function founded(made) {
  return {
    welcome: made.welcome && wire.carrying("welcome", made.welcome),
    ratchet_tree: encodeRatchetTree(made.newState.ratchetTree),
  }
}

/** Once a ReInit was committed: a KeyPackage for the group that follows. */
export async function prepare(client) {
  const { kind, reinit } = client.state.groupActiveState
  if (kind !== "suspendedPendingReinit") throw new Error("no ReInit was committed")
  const who = await identity(ciphersuites[reinit.cipherSuite], client.who.name)
  client.next = { who, keys: await keyPackage(who) }
  return wire.carrying("keyPackage", client.next.keys.publicPackage)
}

/** Is the same client in the group that follows. */
function move(client, state) {
  client.who = client.next.who
  return client.enter(state)
}

/** Begins the group that follows, and goes there. */
export async function begin(client, request) {
  checkForm(request)
  const { reinit } = client.state.groupActiveState
  const { publicPackage, privatePackage } = client.next.keys
  const made = await reinitCreateNewGroup(
    client.state,
    publicPackage,
    privatePackage,
    packages(request.key_package),
    reinit.groupId,
    reinit.cipherSuite,
    reinit.extensions,
  )
  return { ...founded(made), epoch_authenticator: move(client, made.newState) }
}

export async function join(client, welcome, tree) {
  const { publicPackage, privatePackage } = client.next.keys
  return move(client, await joinGroupFromReinit(client.state, welcome, publicPackage, privatePackage, tree))
}

const encoded = (extensions) => extensions.map((extension) => wire.text(encodeExtension(extension))).join()

/** Begins a subgroup, and gives its client there. */
export async function branch(client, request) {
  const extensions = wire.extensions(request.extensions)
  if (encoded(extensions) !== encoded(client.state.groupContext.extensions)) {
    throw unsupported("branchGroup gives a subgroup its group's extensions")
  }
  checkForm(request)
  const { publicPackage, privatePackage } = await keyPackage(client.who)
  const made = await branchGroup(
    client.state,
    publicPackage,
    privatePackage,
    packages(request.key_packages),
    wire.bytes(request.group_id),
    client.cs,
  )
  const there = beside(client)
  const epoch_authenticator = there.enter(made.newState)
  return { there, made: { ...founded(made), epoch_authenticator } }
}

/** Joins a subgroup with the KeyPackage of `invitee`; gives the client there. */
export async function joinBranch(client, invitee, welcome, tree) {
  const { publicPackage, privatePackage } = invitee.keys
  const { state, cs } = client
  const joined = await joinGroupFromBranch(state, welcome, publicPackage, privatePackage, tree, cs)
  const there = beside(client)
  there.enter(joined)
  return there
}

/** The same client, in no group yet. */
function beside(client) {
  const there = new Client(client.who, client.encrypt)
  there.psks = { ...client.psks }
  return there
}
