/**
 * Who is who (design 4.1). Plain types and their limits; the bytes are in packet.ts.
 */

/** Place of an event in the group's one order. A safe integer; 0 stands for "before everything". */
export type Seq = number

/** A sender's own count of its sends, from 1. A safe integer. */
export type RequestNumber = number

/** A process in a group. Ids rise in order of joining and are never given twice; 0 stands for nobody. */
export type MemberId = number

/** Raised by every attempt at a reset; compared for equality, never "not older". */
export type Incarnation = number

/** Time inside: integer microseconds, from an arbitrary start, never going backwards. */
export type Micros = number

/** 64 random bits drawn by the creator of a group: another life of the same port has another. 0n: none. */
export type GroupId = bigint

/** 64 random bits that name one life of one process as a member of one group. 0n: everybody. */
export type Nonce = bigint

/** Where a member's kernel receives unicast packets: `host:port`, IPv6 as `[host]:port`. */
export type Address = string

/** Full members take part in everything; an observer only receives (design 8). */
export const Role = { full: 0, observer: 1 } as const
export type Role = (typeof Role)[keyof typeof Role]
export type RoleName = keyof typeof Role

export const roleNames: Readonly<Record<Role, RoleName>> = { 0: 'full', 1: 'observer' }

/**
 * What a member may do, from the most to the least: everything; send and receive, but neither decide who is in the group
 * nor number for it; only receive. Append only: these numbers are on the wire.
 */
export const Right = { all: 0, send: 1, receive: 2 } as const
export type Right = (typeof Right)[keyof typeof Right]
export type RightName = keyof typeof Right

export const rightNames: Readonly<Record<Right, RightName>> = { 0: 'all', 1: 'send', 2: 'receive' }

/** 16 hexadecimal digits, the way 64-bit identities are shown to people. */
export function hex64(value: bigint): string {
  return value.toString(16).padStart(16, '0')
}
