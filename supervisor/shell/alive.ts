/**
 * The sign of life for the sentinel, which is a shell script: a file whose time moves with each complete tick. It is
 * there from the first tick until the mesh is taken down, so that only a supervisor that ought to run is missed.
 */
import { rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { errnoOf, fileError } from '../errors.ts'
import type { Metrics } from './metrics.ts'
import { expandHome } from './secrets.ts'

export type Alive = {
  /** Never throws for the world's faults: a disk that is full is no reason to end. */
  beat(): void
  /** The mesh is down on purpose. */
  end(): void
}

/** Nothing is written before the first beat. */
export function openAlive(path: string): Alive {
  let hasEnded = false
  return {
    beat() {
      if (hasEnded) return
      const now = Date.now() / 1_000
      try {
        utimesSync(path, now, now)
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') return
        writeEmpty(path)
      }
    },
    end() {
      hasEnded = true
      rmSync(path, { force: true })
    },
  }
}

function writeEmpty(path: string): void {
  try {
    writeFileSync(path, '', { mode: 0o600 })
  } catch (error) {
    if (errnoOf(error) === null) throw error
  }
}

/** Rules are evaluated every 5 s. */
const FRESH_S = 30

/** True if the rules were looked at not long ago: without that, the silence of alerts would mean nothing. */
export function areRulesFresh(metrics: Pick<Metrics, 'sample'> | null): boolean {
  const evaluatedS = metrics?.sample('rule_last_evaluation_timestamp_seconds')[0]?.value ?? 0
  return Date.now() / 1_000 - evaluatedS < FRESH_S
}

/** What the sentinel needs to write to a chat by itself: where it finds the token, never the token. */
export type SentinelChat = { readonly chat: number; readonly api: string; readonly token: SentinelToken }
/** An absolute path, or a variable of PAIOS_HOME/env or of the sentinel's own environment. */
export type SentinelToken = { readonly from: 'file' | 'env'; readonly name: string }

/** Where a shell script can find the token that a document refers to; null where it cannot. */
export function sentinelToken(reference: string): SentinelToken | null {
  const [, from, name] = /^\$\{(file|env):([^}]+)\}$/.exec(reference) ?? []
  if (name === undefined) return null
  return from === 'file' ? { from, name: expandHome(name) } : { from: 'env', name }
}

/** Hands it over, in a form that a shell reads; null for no chat. Throws home-unwritable or disk-full. */
export function writeSentinelChat(path: string, to: SentinelChat | null): void {
  try {
    if (to === null) return rmSync(path, { force: true })
    const { chat, api, token } = to
    writeFileSync(path, `chat=${chat}\napi=${api}\ntoken_${token.from}=${token.name}\n`, { mode: 0o600 })
  } catch (error) {
    throw fileError(`write ${path}`, error)
  }
}

/** When the sentinel last looked, in Unix milliseconds; null where none has ever. */
export function lastLook(stamp: string): number | null {
  return statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? null
}
