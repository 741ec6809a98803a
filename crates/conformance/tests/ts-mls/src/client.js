// One client of ts-mls, in at most one group. What throws leaves it in the epoch in which it was.

import {
  acceptAll,
  bytesToBase64,
  createApplicationMessage,
  createCommit,
  createGroup,
  createGroupInfoWithExternalPub,
  createGroupInfoWithExternalPubAndRatchetTree,
  createProposal,
  encodeMlsMessage,
  joinGroup,
  joinGroupExternal,
  makePskIndex,
  mlsExporter,
  processPrivateMessage,
  processPublicMessage,
} from "ts-mls"
import { encodeRatchetTree } from "ts-mls/ratchetTree.js"
import { keyPackage } from "./identity.js"
import { unsupported } from "./status.js"
import * as wire from "./wire.js"

/** Proposals that the library gives a Commit a path for; RFC 9420 (section 17.4) has more. */
const PATH_TYPES = ["update", "remove"]

export class Client {
  /** The KeyPackage that was made last, with its private keys. */
  keys
  state
  psks = {}
  #pending
  /** Proposals of this epoch that it made or has received. */
  #heard = new Set()

  constructor(who, encrypt = false) {
    this.who = who
    this.encrypt = encrypt
  }

  get cs() {
    return this.who.cs
  }

  get authenticator() {
    return this.state.keySchedule.epochAuthenticator
  }

  get tree() {
    return encodeRatchetTree(this.state.ratchetTree)
  }

  get #pskIndex() {
    return makePskIndex(this.state, this.psks)
  }

  /** Is in this group and epoch from now on. */
  enter(state) {
    this.state = state
    this.#pending = undefined
    this.#heard.clear()
    return this.authenticator
  }

  async makeKeyPackage() {
    this.keys = await keyPackage(this.who)
    return wire.carrying("keyPackage", this.keys.publicPackage)
  }

  storePsk(name, secret) {
    this.psks[bytesToBase64(name)] = secret
  }

  async create(groupId) {
    const { publicPackage, privatePackage } = await keyPackage(this.who)
    this.enter(await createGroup(groupId, publicPackage, privatePackage, [], this.cs))
  }

  async join(welcome, tree) {
    const { publicPackage, privatePackage } = this.keys
    const psks = makePskIndex(undefined, this.psks)
    return this.enter(await joinGroup(welcome, publicPackage, privatePackage, psks, this.cs, tree))
  }

  /** Joins by an external Commit, and gives it. */
  async joinExternally(info, tree, removePrior) {
    const { publicPackage, privatePackage } = await keyPackage(this.who)
    const joined = await joinGroupExternal(info, publicPackage, privatePackage, removePrior, this.cs, tree)
    this.enter(joined.newState)
    return encodeMlsMessage({
      version: "mls10",
      wireformat: "mls_public_message",
      publicMessage: joined.publicMessage,
    })
  }

  async groupInfo(withTree) {
    const make = withTree ? createGroupInfoWithExternalPubAndRatchetTree : createGroupInfoWithExternalPub
    return wire.carrying("groupInfo", await make(this.state, [], this.cs))
  }

  async export(label, context, length) {
    return mlsExporter(this.state.keySchedule.exporterSecret, label, context, length, this.cs)
  }

  async protect(plaintext, authenticatedData) {
    const sealed = await createApplicationMessage(this.state, plaintext, this.cs, authenticatedData)
    this.state = sealed.newState
    const { privateMessage } = sealed
    return encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage })
  }

  async unprotect(ciphertext) {
    const message = wire.message(ciphertext)
    const opened = await this.#process(message)
    if (opened.kind !== "applicationMessage") throw new Error("this is no application data")
    this.state = opened.newState
    return {
      authenticated_data: message.privateMessage.authenticatedData,
      plaintext: opened.message,
    }
  }

  /** Proposes something, which then waits for a Commit. */
  async propose(proposal) {
    const made = await createProposal(this.state, !this.encrypt, proposal, this.cs)
    this.state = made.newState
    const message = encodeMlsMessage(made.message)
    this.#heard.add(wire.text(message))
    return message
  }

  /** Takes in the proposals that it does not know yet. */
  async hear(proposals) {
    for (const proposal of proposals) {
      if (this.#heard.has(wire.text(proposal))) continue
      const received = await this.#process(wire.message(proposal))
      this.state = received.newState
      this.#heard.add(wire.text(proposal))
    }
  }

  /** Goes where somebody else's Commit leads. */
  async follow(commit) {
    const received = await this.#process(wire.message(commit))
    if (received.newState.groupContext.epoch === this.state.groupContext.epoch) {
      throw new Error("this led into no new epoch")
    }
    return this.enter(received.newState)
  }

  /** Commits what waits, and these by value; stays where it is until `merge`. */
  async commit(proposals, { forcePath, withTree }) {
    const waiting = Object.values(this.state.unappliedProposals).map(({ proposal }) => proposal)
    const all = [...waiting, ...proposals]
    const hasPath = all.length === 0 || all.some(({ proposalType }) => PATH_TYPES.includes(proposalType))
    if (forcePath && !hasPath) {
      throw unsupported("createCommit takes no wish for a path: only an empty Commit, an Update or a Remove gets one")
    }
    const made = await createCommit(
      { state: this.state, pskIndex: this.#pskIndex, cipherSuite: this.cs },
      { wireAsPublicMessage: !this.encrypt, extraProposals: proposals, ratchetTreeExtension: withTree },
    )
    this.#pending = made.newState
    return {
      commit: encodeMlsMessage(made.commit),
      welcome: made.welcome && wire.carrying("welcome", made.welcome),
      ratchet_tree: withTree ? undefined : encodeRatchetTree(made.newState.ratchetTree),
    }
  }

  merge() {
    if (this.#pending === undefined) throw new Error("no Commit waits")
    return this.enter(this.#pending)
  }

  /**
   * Both kinds of messages, each by its own function: `processMessage` would look for the pre-shared keys
   * of a PrivateMessage nowhere.
   */
  async #process(message) {
    switch (message.wireformat) {
      case "mls_public_message":
        return processPublicMessage(this.state, message.publicMessage, this.#pskIndex, this.cs, acceptAll)
      case "mls_private_message":
        return processPrivateMessage(this.state, message.privateMessage, this.#pskIndex, this.cs, acceptAll)
      default:
        throw new Error("this is no message to a group")
    }
  }
}
