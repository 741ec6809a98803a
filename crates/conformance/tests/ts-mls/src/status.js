// What a request is answered with when it can't be done, as the other servers of this crate answer it.

import { status } from "@grpc/grpc-js"

/** An error that has its own gRPC status. */
class Refusal extends Error {
  constructor(code, message) {
    super(message)
    this.code = code
  }
}

/** The library's public API does not reach what is asked for. */
export function unsupported(why) {
  return new Refusal(status.UNIMPLEMENTED, why)
}

/** Nothing has this number. */
export function unknown(id) {
  return new Refusal(status.NOT_FOUND, `nothing has the number ${id}`)
}

/** Something has this number, but can't do that now. */
export function misplaced(id) {
  return new Refusal(status.FAILED_PRECONDITION, `what has the number ${id} can't do that now`)
}

/** The request itself makes no sense. */
export function invalid(why) {
  return new Refusal(status.INVALID_ARGUMENT, why)
}

/** As gRPC wants an error: what the library throws is a refusal of what it was given. */
export function toStatus(error) {
  if (error instanceof Refusal) return { code: error.code, details: error.message }
  return { code: status.ABORTED, details: `${error?.name ?? "Error"}: ${error?.message ?? error}` }
}
