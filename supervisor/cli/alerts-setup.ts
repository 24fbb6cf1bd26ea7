/** `paios alerts setup`: from a bot's token to a message on the phone, with nothing to look up. */
import { randomInt } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Plan } from '../../schemas/status.ts'
import { fileError, PaiosError } from '../errors.ts'
import type { Answer, Telegram } from '../shell/telegram.ts'
import { call } from './client.ts'
import type { Invocation } from './command.ts'
import { checkText, documentPath, validMesh } from './document.ts'

/** So long somebody has time to send the code to the bot. */
const CHAT_LIMIT_MS = 300_000
/** Another poller asks again within this time, and takes our answer away. */
const WATCH_MS = 8_000
const POLL_S = 4
const DEFAULT_API = 'https://api.telegram.org'

type Found = {
  readonly chat: number
  readonly person: number
  readonly name: string
  readonly update: number
}

/** Asks for the token, finds the chat, sends a message, and writes it down. */
export async function setUp(invocation: Invocation): Promise<number> {
  const { home, out, text: flag } = invocation
  const path = documentPath(home)
  const before = readFileSync(await readable(path), 'utf8')
  await validMesh(path, await checkText(before))
  const api = (flag('api') ?? DEFAULT_API).replace(/\/+$/, '')
  const token = await readToken(invocation)
  if (token === null) {
    invocation.err('Nothing was changed.\n')
    return 130
  }
  if (token === tokenInPlace(home))
    throw new PaiosError('refused', 'this bot is in use here already: paios alerts test tries it')
  const { openTelegram } = await import('../shell/telegram.ts')
  const telegram = openTelegram({ api, token: () => token })
  const me = must(await telegram.call('getMe', undefined), 'ask who the bot is')
  const code = String(randomInt(100_000, 1_000_000))
  out(`The bot is @${me.username}. Open https://t.me/${me.username}?start=${code} and press Start,\n`)
  out(`or send it, in the chat or group that is to be told:  /start ${code}\n`)
  const found = await findChat(telegram, code)
  const said = `PAIOS on ${hostname()} tells you here what fails, and what to do about it.`
  must(await telegram.call('sendMessage', { chat_id: found.chat, text: said }), 'send a message to the chat')
  must(await telegram.call('setMyCommands', { commands: COMMANDS }), 'name the commands of the bot')
  out(`${found.name} has got a message.\n`)
  writeSecret(secretPath(home), token)
  const value = {
    token: `\${file:${shortened(secretPath(home))}}`,
    chat: found.chat,
    ...(found.chat < 0 ? { allow: [found.person] } : {}),
    ...(api === DEFAULT_API ? {} : { api }),
  }
  const { withSetting } = await import('../document/setting.ts')
  const after = withSetting(before, 'alerts', 'telegram', value)
  await validMesh(path, await checkText(after))
  replace(path, after, 0o600)
  out(`${secretPath(home)} holds the token, ${path} names it under alerts.\n`)
  return apply(invocation)
}

const COMMANDS = [
  { command: 'status', description: 'what runs and what does not' },
  { command: 'events', description: 'what happened last' },
  { command: 'mute', description: 'hold messages: /mute NAME 2h REASON' },
  { command: 'help', description: 'what you can ask' },
]

const secretPath = (home: string) => join(home, 'secrets', 'telegram')
const shortened = (path: string) =>
  path.startsWith(`${homedir()}/`) ? `~${path.slice(homedir().length)}` : path

async function readable(path: string): Promise<string> {
  const { readDocument } = await import('../document/file.ts')
  readDocument(path)
  return path
}

function tokenInPlace(home: string): string | null {
  try {
    return readFileSync(secretPath(home), 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw fileError(`read ${secretPath(home)}`, error)
  }
}

/** The token, null where Ctrl-C ended the question. */
async function readToken({ err }: Invocation): Promise<string | null> {
  const said = process.stdin.isTTY ? await askToken(err) : await text(process.stdin)
  if (said === null) return null
  const token = said.trim()
  if (!/^\d+:[\w-]{30,}$/.test(token))
    throw new PaiosError('usage', 'that is no token of a bot: @BotFather gives one such as 123456789:AAH…')
  return token
}

/** An empty line is asked for again: a paste may begin with one. */
async function askToken(err: Invocation['err']): Promise<string | null> {
  const { readHidden } = await import('./hidden-line.ts')
  for (;;) {
    const line = await readHidden(() =>
      err('Token of a bot of its own, from @BotFather (it is not shown, Ctrl-C ends this): '),
    )
    err('\n')
    if (line === null || line.trim() !== '') return line
  }
}

/** What the answer holds; throws channel-failed with what Telegram said. */
function must<T>(answer: Answer<T>, doing: string): T {
  if (answer.ok) return answer.result
  const isPolled = answer.kind === 'api' && answer.code === 409
  if (isPolled) {
    throw new PaiosError(
      'refused',
      `another program asks for this bot's updates (${answer.text}): give PAIOS a bot of its own`,
    )
  }
  const hint = answer.kind === 'api' && [401, 404].includes(answer.code) ? ': the token is not valid' : ''
  throw new PaiosError('channel-failed', `cannot ${doing}: ${answer.text}${hint}`)
}

/** Waits for the code, and long enough to see another poller. */
async function findChat(telegram: Telegram, code: string): Promise<Found> {
  const begun = performance.now()
  let offset: number | undefined
  let found: Found | null = null
  while (performance.now() - begun < (found === null ? CHAT_LIMIT_MS : WATCH_MS)) {
    const params = { timeout: POLL_S, allowed_updates: ['message'] as const }
    const asked = { ...params, ...(offset === undefined ? {} : { offset }) }
    const updates = must(
      await telegram.call('getUpdates', asked, undefined, POLL_S * 1_000),
      'read what is sent to the bot',
    )
    for (const { update_id, message } of updates) {
      offset = update_id + 1
      if (!message?.from || !new RegExp(`^/start(@\\w+)? ${code}$`).test(message.text?.trim() ?? '')) continue
      const name = message.chat.title ?? message.from.first_name
      found = { chat: message.chat.id, person: message.from.id, name, update: update_id }
    }
  }
  if (found === null)
    throw new PaiosError(
      'channel-failed',
      'nobody has sent the code to the bot within five minutes: once more?',
    )
  must(
    await telegram.call('getUpdates', { offset: found.update + 1, timeout: 0 }),
    'read what is sent to the bot',
  )
  return found
}

function writeSecret(path: string, token: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  } catch (error) {
    throw fileError(`make ${dirname(path)}`, error)
  }
  replace(path, `${token}\n`, 0o600)
}

function replace(path: string, content: string, mode: number): void {
  try {
    writeFileSync(`${path}.new`, content, { mode })
    chmodSync(`${path}.new`, mode)
    renameSync(`${path}.new`, path)
  } catch (error) {
    throw fileError(`write ${path}`, error)
  }
}

/** Has a running supervisor take it up, unless more than this would change. */
async function apply({ home, out }: Invocation): Promise<number> {
  try {
    const { plan } = await call<{ plan: Plan }>(home, 'POST', '/up', { dryRun: true, retry: false })
    if ([plan.start, plan.restart, plan.stop, plan.update].some(({ length }) => length > 0)) {
      out('The document has other changes, too: paios up applies them and this.\n')
      return 0
    }
    await call(home, 'POST', '/up', { dryRun: false, retry: false })
    out('The supervisor tells you there from now on: paios alerts test\n')
  } catch (error) {
    if (!(error instanceof PaiosError) || error.code !== 'no-supervisor') throw error
    out('No supervisor runs: paios up\n')
  }
  return 0
}
