// What the server's numbers name: clients in some place, and external signers.

import { misplaced, unknown } from "./status.js"

/** States that are kept: whoever never frees any loses the oldest. */
const STATES_MAX = 16_384

/** Where a client can stand. `SIGNER` is no client: it proposes from outside. */
export const INVITED = "invited"
export const MEMBER = "member"
export const ENDED = "ended"
export const SIGNER = "signer"

/** Everything that has a number, and what is done with it one after the other. */
export class States {
  #last = 0
  #kept = new Map()

  /** Gives something its number. */
  keep(standing, held) {
    this.#last += 1
    this.#kept.set(this.#last, { standing, held, turn: Promise.resolve() })
    if (this.#kept.size > STATES_MAX) this.#kept.delete(this.#kept.keys().next().value)
    return this.#last
  }

  free(id) {
    if (!this.#kept.delete(id)) throw unknown(id)
  }

  /** Takes a client out that waits for a Welcome. */
  takeInvited(id) {
    const place = this.#kept.get(id)
    if (place === undefined) throw unknown(id)
    if (place.standing !== INVITED) throw misplaced(id)
    this.#kept.delete(id)
    return place.held
  }

  /**
   * Does something with what has this number, if it stands in one of these places. No state is left half
   * done: `act` changes what it is given when the library is through.
   */
  async with(id, standings, act) {
    const place = this.#kept.get(id)
    if (place === undefined) throw unknown(id)
    const done = place.turn.then(() => {
      if (!standings.includes(place.standing)) throw misplaced(id)
      return act(place.held, place)
    })
    place.turn = done.catch(() => {})
    return done
  }
}
