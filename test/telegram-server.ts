/**
 * Telegram for tests: telegram-test-api stores messages and updates; the proxy before it does what the real service
 * does and that one does not (long poll with offsets, redelivery until confirmed, limits, refusals in Telegram's
 * form), and fails in every way that a test asks for. Loopback only.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createPort } from 'node:net'
import imported from 'telegram-test-api'
import { request as ask } from 'undici'

// CommonJS whose types promise a default that Node makes of the whole module.
const TelegramServer = imported as unknown as typeof imported.default

/** How a call goes wrong. What is `after` happens once the call was carried out. */
export type Fault =
  | { readonly kind: 'refuse'; readonly code: number; readonly text: string; readonly parameters?: object }
  | { readonly kind: 'status'; readonly status: number; readonly body: string }
  | { readonly kind: 'reset' | 'hang' | 'drop-after' | 'hold-after' }

/** One message as the chat shows it. */
export type Shown = {
  readonly id: number
  readonly chat: number
  readonly text: string
  readonly buttons: readonly { readonly text: string; readonly callback_data: string }[]
  readonly isSilent: boolean
  readonly isHtml: boolean
  readonly replyTo: number | null
  readonly edits: number
  /** performance.timeOrigin based milliseconds at which the last text came. */
  readonly at: number
}

export type Call = { readonly method: string; readonly params: Record<string, unknown>; readonly at: number }

export type FakeTelegram = {
  readonly url: string
  readonly token: string
  /** What the chats show now, oldest first. */
  shown(): readonly Shown[]
  calls(method?: string): readonly Call[]
  /** The next `times` calls of these methods go wrong; `null` ends it. */
  fail(methods: readonly string[], fault: Fault | null, times?: number): void
  /** Gives the answers that were held back, and ends connections that hang. */
  release(): void
  press(message: Shown, button: string, from?: number): Promise<void>
  /** A press with any data, as strangers can make it. */
  pressRaw(data: string, message: { id: number; chat: number }, from: number): Promise<void>
  write(text: string, from?: number, chat?: number): Promise<void>
  /** What was answered to presses, oldest first. */
  answers(): readonly string[]
  /** Updates that were delivered and not confirmed, and new ones. */
  waiting(): number
  close(): Promise<void>
}

/** Who is allowed unless a test says otherwise; a chat with one person has that person's id. */
export const OWNER = 777
/** Looks like a token and is none. */
export const TOKEN = '123456789:AAHfakeTokenOfATestThatIsNone_abcdefgh'
/** What the poll is told that another one has ended. */
export const CONFLICT =
  'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running'
const TEXT_MAX = 4_096
const DATA_MAX = 64

type Body = Record<string, unknown>

/** Starts the server on a free port. */
export async function startTelegram(token = TOKEN): Promise<FakeTelegram> {
  const store = new TelegramServer({ host: '127.0.0.1', port: await freePort(), storeTimeout: 86_400 })
  await store.start()
  const shown = new Map<number, Shown>()
  const calls: Call[] = []
  const answers: string[] = []
  const faults: { methods: readonly string[]; fault: Fault; left: number }[] = []
  const hanging = new Set<ServerResponse>()
  const held: (() => void)[] = []
  let updates: { update_id: number }[] = []
  let waitingPoll: ((how: 'conflict' | 'over') => void) | null = null

  async function upstream(method: string, params: Body): Promise<Body> {
    // On a connection of its own: a kept one may be closed by the other side in the moment of its next use.
    const answer = await ask(`${store.config.apiURL}/bot${token}/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(params),
      reset: true,
    })
    return (await answer.body.json()) as Body
  }
  async function pull(): Promise<void> {
    const { result } = (await upstream('getUpdates', {})) as { result: { update_id: number }[] }
    updates.push(...result)
    if (updates.length > 0) waitingPoll?.('over')
  }
  /** A long poll that has to wait ends the one that waits already, whose program may be gone: as the real service does. */
  async function poll({ offset, timeout = 0 }: { offset?: number; timeout?: number }) {
    if (offset !== undefined) updates = updates.filter(({ update_id }) => update_id >= offset)
    if (updates.length > 0 || timeout === 0) return { ok: true, result: updates }
    waitingPoll?.('conflict')
    const { promise, resolve } = Promise.withResolvers<'conflict' | 'over'>()
    waitingPoll = resolve
    const late = setTimeout(() => resolve('over'), timeout * 1_000)
    const how = await promise
    clearTimeout(late)
    if (waitingPoll === resolve) waitingPoll = null
    return how === 'over' ? { ok: true, result: updates } : refusal(409, CONFLICT)
  }
  function check(params: Body): Body | null {
    const text = String(params['text'] ?? '')
    if (text === '') return refusal(400, 'Bad Request: message text is empty')
    if (seen(text, params['parse_mode'] === 'HTML').length > TEXT_MAX)
      return refusal(400, 'Bad Request: message is too long')
    const rows = (params['reply_markup'] as { inline_keyboard?: { callback_data: string }[][] } | undefined)
      ?.inline_keyboard
    if (rows?.flat().some(({ callback_data }) => Buffer.byteLength(callback_data) > DATA_MAX))
      return refusal(400, 'Bad Request: BUTTON_DATA_INVALID')
    const isHtml = params['parse_mode'] === 'HTML'
    if (isHtml && !isBalanced(String(params['text'])))
      return refusal(400, "Bad Request: can't parse entities")
    return null
  }
  function show(id: number, params: Body, edits: number): void {
    const markup = params['reply_markup'] as { inline_keyboard?: Shown['buttons'][] } | undefined
    const reply = params['reply_parameters'] as { message_id: number } | undefined
    shown.set(id, {
      id,
      chat: Number(params['chat_id']),
      text: String(params['text']),
      buttons: (markup?.inline_keyboard ?? []).flat(),
      isSilent: params['disable_notification'] === true,
      isHtml: params['parse_mode'] === 'HTML',
      replyTo: reply?.message_id ?? null,
      edits,
      at: performance.timeOrigin + performance.now(),
    })
  }
  async function carryOut(method: string, params: Body): Promise<Body> {
    switch (method) {
      case 'getMe':
        return { ok: true, result: { id: 1, is_bot: true, first_name: 'Test', username: 'paios_test_bot' } }
      case 'sendChatAction':
      case 'setMyCommands':
        return { ok: true, result: true }
      case 'getUpdates':
        return poll(params)
      case 'answerCallbackQuery':
        answers.push(String(params['text']))
        return { ok: true, result: true }
      case 'sendMessage': {
        const wrong = check(params)
        if (wrong) return wrong
        const { result } = (await upstream(method, params)) as {
          result: { message_id: number; date: number }
        }
        show(result.message_id, params, 0)
        return { ok: true, result: { ...result, date: Math.floor(result.date / 1_000) } }
      }
      case 'editMessageText': {
        const old = shown.get(Number(params['message_id']))
        if (!old) return refusal(400, 'Bad Request: message to edit not found')
        const wrong = check(params)
        if (wrong) return wrong
        if (old.text === params['text']) return refusal(400, 'Bad Request: message is not modified')
        await upstream(method, params)
        show(old.id, params, old.edits + 1)
        return { ok: true, result: { message_id: old.id, text: params['text'] } }
      }
      case 'deleteMessage':
        return shown.delete(Number(params['message_id']))
          ? { ok: true, result: true }
          : refusal(400, 'Bad Request: message to delete not found')
      default:
        return refusal(404, 'Not Found: method not found')
    }
  }
  function faultFor(method: string): Fault | null {
    const found = faults.find(({ methods, left }) => methods.includes(method) && left > 0)
    if (!found) return null
    found.left--
    return found.fault
  }
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, given, method = ''] = /^\/bot([^/]+)\/(\w+)$/.exec(decodeURIComponent(request.url ?? '')) ?? []
    let text = ''
    for await (const part of request) text += part
    const params = bodyOf(text)
    calls.push({ method, params, at: performance.timeOrigin + performance.now() })
    if (given !== token) return send(response, refusal(401, 'Unauthorized'))
    const fault = faultFor(method)
    switch (fault?.kind) {
      case 'refuse':
        return send(response, { ...refusal(fault.code, fault.text), parameters: fault.parameters })
      case 'status':
        response.writeHead(fault.status, { 'content-type': 'text/html' }).end(fault.body)
        return
      case 'reset':
        request.socket.resetAndDestroy()
        return
      case 'hang':
        hanging.add(response)
        return
    }
    const result = await carryOut(method, params)
    if (fault?.kind === 'drop-after') request.socket.destroy()
    else if (fault?.kind === 'hold-after') held.push(() => send(response, result))
    else send(response, result)
  }
  let isClosed = false
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      // Whoever asked is gone, or this server is: nobody waits for the answer.
      if (!isClosed && !request.socket.destroyed) throw error
      response.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const person = (id: number) => ({ id, is_bot: false, first_name: 'A', username: `user${id}` })

  const fake: FakeTelegram = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token,
    shown: () => [...shown.values()],
    calls: (method) => calls.filter((call) => method === undefined || call.method === method),
    fail(methods, fault, times = Number.POSITIVE_INFINITY) {
      if (fault === null) faults.splice(0)
      else faults.push({ methods, fault, left: times })
    },
    release() {
      for (const answer of held.splice(0)) answer()
      for (const response of hanging) response.destroy()
      hanging.clear()
    },
    press(message, button, from = OWNER) {
      const found = message.buttons.find(({ text }) => text === button)
      if (!found) throw new Error(`no button ${button}: ${JSON.stringify(message.buttons)}`)
      return fake.pressRaw(found.callback_data, message, from)
    },
    async pressRaw(data, { id, chat }, from) {
      const about = { message_id: id, date: 1, chat: { id: chat, type: 'private' } }
      await store.addUserCallback({ botToken: token, data, from: person(from), message: about } as never)
      await pull()
    },
    async write(text, from = OWNER, chat = from) {
      const message = { botToken: token, text, from: person(from), chat: { id: chat, type: 'private' } }
      await store.addUserMessage({ ...message, date: Math.floor(Date.now() / 1_000) } as never)
      await pull()
    },
    answers: () => answers,
    waiting: () => updates.length,
    async close() {
      isClosed = true
      fake.release()
      waitingPoll?.('over')
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
      await store.stop()
    },
  }
  return fake
}

/** Telegram takes JSON and forms alike. */
function bodyOf(text: string): Body {
  if (text === '') return {}
  return text.startsWith('{') ? (JSON.parse(text) as Body) : Object.fromEntries(new URLSearchParams(text))
}

function refusal(code: number, description: string): Body {
  return { ok: false, error_code: code, description }
}

function send(response: ServerResponse, body: Body): void {
  const status = body['ok'] === true ? 200 : Number(body['error_code'])
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** What people see of a text: Telegram counts characters after it has parsed them. */
function seen(text: string, isHtml: boolean): string {
  return isHtml ? text.replaceAll(/<[^>]*>/g, '').replaceAll(/&(lt|gt|amp|quot);/g, '?') : text
}

/** Telegram's HTML as far as ours goes: `<b>` and `<s>` closed in order, no other `<`, `&` only as an entity. */
function isBalanced(html: string): boolean {
  const rest = html.replaceAll(/<(b|s|pre|code)>[^<]*<\/\1>/g, '')
  return !rest.includes('<') && !/&(?!(lt|gt|amp|quot);)/.test(html)
}

async function freePort(): Promise<number> {
  const server = createPort()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
