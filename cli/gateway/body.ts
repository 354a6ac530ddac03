/** Reads the body of a request, up to a limit. */
import type { IncomingMessage } from 'node:http'
import { ErrorCode, GroupError } from '../../kernel/errors.ts'
import type { Ticket } from './admission.ts'
import { GatewayCode, GatewayError } from './errors.ts'

/**
 * Rejects with ERR_MESSAGE_TOO_LARGE over `limit` bytes, with ERR_BUSY if the waiting room is full, and with
 * ERR_BAD_REQUEST if the client goes away. What is not wanted of a body is read and thrown away, so that the client
 * gets to see the answer; the server's requestTimeout bounds how long that can take.
 */
export function readBody(request: IncomingMessage, limit: number, ticket?: Ticket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const announced = Number(request.headers['content-length'] ?? 0)
    if (announced > limit) {
      request.resume()
      reject(tooLarge(announced, limit))
      return
    }
    const chunks: Buffer[] = []
    let length = 0
    const finish = (error?: Error): void => {
      request.off('data', onData).off('end', onEnd).off('close', onClose)
      if (error === undefined)
        return resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length))
      request.resume()
      reject(error)
    }
    const onData = (chunk: Buffer): void => {
      length += chunk.length
      if (length > limit) return finish(tooLarge(length, limit))
      try {
        ticket?.grow(chunk.length)
      } catch (error) {
        return finish(error as Error)
      }
      chunks.push(chunk)
    }
    const onEnd = (): void => finish()
    const onClose = (): void =>
      finish(new GatewayError(GatewayCode.badRequest, 'the request ended in the middle', 'refused'))
    request.on('data', onData).on('end', onEnd).on('close', onClose)
    // An error of the connection is followed by its close.
    request.on('error', nothing)
  })
}

function nothing(): void {}

function tooLarge(bytes: number, limit: number): GroupError {
  return new GroupError(
    ErrorCode.tooLarge,
    `the body has ${bytes} bytes or more, and this group takes messages of ${limit}; send it in parts`,
    { outcome: 'refused' },
  )
}
