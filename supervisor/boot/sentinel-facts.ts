/** Looking at the sentinel: what lies there, when it last looked, and whether it could write to the chat. */
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '../errors.ts'
import { lastLook, sentinelToken } from '../shell/alive.ts'
import { homeAt } from '../shell/home.ts'
import { isAsWritten, textOf } from './files.ts'
import type { InitPort } from './init-port.ts'
import type { Place } from './place.ts'
import { SENTINEL_PATH, sentinelScript } from './sentinel.ts'
import type { SentinelFacts } from './sentinel-findings.ts'

/** What the document says of the chat; null where it names none. */
type Chat = { readonly token: string } | null

/** `init` null: none of systemd and launchd can be asked. `entry` is the paios that asks. */
export function sentinelFacts(place: Place, init: InitPort | null, chat: Chat, entry: string): SentinelFacts {
  const { home, current, sentinel } = place
  const wanted = textOf(join(current, 'app', 'bin', 'sentinel.sh')) ?? sentinelScript()
  const files = init?.sentinel.files ?? []
  const looked = lastLook(homeAt(home).sentinel)
  const written = statSync(sentinel, { throwIfNoEntry: false })?.mtimeMs ?? null
  return {
    missing: [sentinel, ...files.map(([path]) => path)].find((path) => !existsSync(path)) ?? null,
    changed: files.find(([path, text]) => existsSync(path) && !isAsWritten(path, text, 0o644))?.[0] ?? null,
    hasOtherScript: textOf(sentinel) !== null && textOf(sentinel) !== wanted,
    looked,
    // A timer that was switched on a moment ago has had no time.
    quietMs: Date.now() - Math.max(looked ?? 0, written ?? 0),
    script: sentinel,
    hasChat: chat !== null,
    mute: chat === null ? null : (tokenTrouble(home, chat.token) ?? curlTrouble()),
    byCron: `* * * * * /bin/sh ${join(entry, '../../bin/sentinel.sh')} ${home} up ${process.execPath} ${entry}`,
  }
}

/** Why the sentinel cannot read the bot's token, and what to do; null if it can. No value leaves this function. */
function tokenTrouble(home: string, reference: string): SentinelFacts['mute'] {
  const token = sentinelToken(reference)
  if (token === null)
    return {
      what: 'the sentinel cannot write to the chat: it reads a token from a file, or from a variable',
      where: reference,
      remedy: 'paios alerts setup, which keeps the token in a file',
    }
  const { env } = homeAt(home)
  const where = token.from === 'file' ? token.name : env
  const text = readable(where)
  const isThere = token.from === 'file' ? text.trim() !== '' : definesIn(text, token.name)
  if (isThere) return null
  return {
    what: `the sentinel cannot write to the chat: ${reference} has nothing that it can read`,
    where,
    remedy:
      token.from === 'file'
        ? 'put the token there, or: paios alerts setup'
        : `write ${token.name}=… into ${env}, or: paios alerts setup`,
  }
}

const definesIn = (text: string, name: string): boolean =>
  new RegExp(`^\\s*(?:export\\s+)?${RegExp.escape(name)}\\s*=\\s*\\S`, 'm').test(text)

function readable(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === null) throw error
    return ''
  }
}

function curlTrouble(): SentinelFacts['mute'] {
  const isThere = SENTINEL_PATH.split(':').some((folder) => {
    try {
      accessSync(join(folder, 'curl'), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
  if (isThere) return null
  const what = 'the sentinel cannot write to the chat: there is no curl'
  return { what, where: SENTINEL_PATH, remedy: 'install curl' }
}
