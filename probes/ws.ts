/**
 * The handshake and one or two requests of a WebSocket protocol: the only probe of OpenClaw that reaches its request
 * handlers. The gateway sends a challenge, is told who connects, says hello, then answers `health`, and
 * `channels.status` where it is asked for it; frames of type `event` may come between. The token is written to the
 * socket and nowhere else.
 */
import { valueAt } from './dotted-path.ts'
import { excerpt } from './excerpt.ts'
import { isObject, textAt } from './json.ts'
import { LATE, watchLateness } from './lateness.ts'
import { isLoopback } from './loopback.ts'
import { channelFaults } from './openclaw-channels.ts'
import { defineProbe, fail, type ProbeResult, pass, type Schemas, type SettingsOf, unknown } from './probe.ts'
import { connectWebSocket } from './websocket.ts'

const shape = ({ z }: Schemas) => ({
  protocol: z.literal('openclaw').default('openclaw'),
  /** Instead of `port`: a ws URL of this machine. */
  url: z
    .string()
    .refine((url) => isLoopback(url, 'ws:'), {
      error: 'must be a ws URL of this machine (127.0.0.1, ::1, localhost)',
    })
    .optional(),
  port: z.int().min(1).max(65_535).optional(),
  token: z.string().optional(),
  /** A client of this id and mode needs no pairing when it brings the local token. */
  client: z
    .strictObject({ id: z.string().min(1), mode: z.string().min(1) })
    .default({ id: 'gateway-client', mode: 'backend' }),
  /** Asks for the channels too, and fails where one of them is not well. */
  channels: z.boolean().default(false),
})
type Settings = SettingsOf<typeof shape>

const CONNECT = '1'
const HEALTH = '2'
const CHANNELS = '3'

function connectRequest({ client, token }: Settings): string {
  const params = {
    minProtocol: 4,
    maxProtocol: 4,
    client: { ...client, version: '1.0.0', platform: process.platform },
    role: 'operator',
    scopes: ['operator.read'],
    ...(token === undefined ? {} : { auth: { token } }),
  }
  return JSON.stringify({ type: 'req', id: CONNECT, method: 'connect', params })
}

const plainRequest = (id: string, method: string) => JSON.stringify({ type: 'req', id, method, params: {} })

/** What the operator has to know of a refusal, by the gateway's own codes. */
const MEANINGS: Readonly<Record<string, string>> = {
  AUTH_TOKEN_MISMATCH: 'the gateway runs with another token: restart it, or put its own back',
  NOT_PAIRED: 'the gateway asks for a paired device: no token was sent, or it has none set',
  DEVICE_IDENTITY_REQUIRED: 'the gateway asks for a device identity: no token was sent, or it has none set',
  MISSING_SCOPE: 'the gateway gives this client no read access',
}

function refusal(error: unknown, step: string, token: string | undefined): ProbeResult {
  const code = textAt(error, 'code') ?? 'error'
  const message = textAt(error, 'message') ?? ''
  const details = valueAt(error, 'details')
  const [detail, reason] = [textAt(details, 'code'), textAt(details, 'reason')]
  const name = [code, detail ?? reason].filter((part) => part !== null).join(' ')
  // A server that quotes what it was sent must not get the token into a reason.
  const quoted = token === undefined ? message : message.replaceAll(token, '(token)')
  const meaning = MEANINGS[detail ?? ''] ?? MEANINGS[code] ?? excerpt(quoted)
  return fail(
    `${step}: ${name}${meaning && `: ${meaning}`}`,
    code === 'UNAVAILABLE' && reason === 'startup-sidecars',
  )
}

function judgeChannels(payload: unknown): ProbeResult {
  const faults = channelFaults(payload)
  return faults.length === 0 ? pass() : fail(faults.join('; '))
}

/** One conversation, from the challenge to the last answer that is asked for. `step` is what is being waited for. */
function createConversation(settings: Settings, send: (text: string) => void) {
  const state = { step: 'challenge' }
  return {
    state,
    /** The verdict that this frame brings, null to wait for more. */
    receive(text: string): ProbeResult | null {
      const frame: unknown = JSON.parse(text)
      if (!isObject(frame)) return null
      const { type, event, id, ok, payload, error } = frame
      if (type === 'event' && event === 'connect.challenge' && state.step === 'challenge') {
        state.step = 'connect'
        send(connectRequest(settings))
      }
      if (type !== 'res') return null
      if (ok !== true) return refusal(error, state.step, settings.token)
      if (id === CONNECT) {
        if (valueAt(payload, 'type') !== 'hello-ok') return fail('connect: the answer is no hello-ok')
        state.step = 'health'
        send(plainRequest(HEALTH, 'health'))
      }
      if (id === CHANNELS) return judgeChannels(payload)
      if (id !== HEALTH) return null
      if (valueAt(payload, 'ok') !== true) return fail('health: the answer is not ok')
      if (!settings.channels) return pass()
      state.step = 'channels.status'
      send(plainRequest(CHANNELS, state.step))
      return null
    },
  }
}

/** Passes when the whole conversation succeeds; a refusal because the gateway still starts is progress. */
export const ws = defineProbe('ws', shape, async (settings) => {
  if ((settings.url === undefined) === (settings.port === undefined)) {
    throw new Error('a ws probe needs either url or port')
  }
  const url = new URL(settings.url ?? `ws://127.0.0.1:${settings.port}`)
  return {
    async check(signal) {
      const lateness = watchLateness()
      const { promise, resolve } = Promise.withResolvers<ProbeResult>()
      const { state, receive } = createConversation(settings, (text) => socket.send(text))
      const onAbort = () =>
        resolve(lateness.isLate() ? unknown(LATE) : fail(`${state.step}: no answer in time`))
      signal.addEventListener('abort', onAbort, { once: true })
      const socket = connectWebSocket(url, {
        onText(text) {
          try {
            const verdict = receive(text)
            if (verdict !== null) resolve(verdict)
          } catch {
            resolve(fail(`${state.step}: a frame is not JSON`))
          }
        },
        onEnd: (reason) => resolve(fail(`${state.step}: ${reason}`)),
      })
      if (signal.aborted) onAbort()
      try {
        return await promise
      } finally {
        signal.removeEventListener('abort', onAbort)
        socket.destroy()
        lateness.stop()
      }
    },
    close: () => Promise.resolve(),
  }
})
