/** Doubles of what stands behind an OpenClaw gateway: Telegram's service, and a provider that refuses every key. */
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

const POLL_MS = 500
/** Of no use to anybody. */
export const BOT_TOKEN = '123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0'

/** Telegram's service as far as a gateway that polls asks it; while it is contested another program polls, too. */
export const telegram = { isContested: false }
const answerBot: RequestListener = (request, response) => {
  const method = request.url?.split('?')[0]?.split('/').at(-1)
  const send = (status: number, body: object) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  }
  const polls = method === 'getUpdates'
  if (polls && telegram.isContested) {
    const description = 'Conflict: terminated by other getUpdates request'
    return send(409, { ok: false, error_code: 409, description })
  }
  const bot = { id: 1, is_bot: true, first_name: 'b', username: 'double_bot' }
  const result = method === 'getMe' ? bot : polls ? [] : true
  setTimeout(send, polls ? POLL_MS : 0, 200, { ok: true, result })
}

/** A provider that refuses every key. */
const refuseKey: RequestListener = (_request, response) => {
  const error = { type: 'authentication_error', message: 'invalid x-api-key' }
  response.writeHead(401, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ type: 'error', error }))
}

/** Listens on a free port of loopback. */
async function serve(answer: RequestListener): Promise<{ server: Server; port: number }> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

const configOf = (bot: number, provider: number) => ({
  channels: {
    telegram: {
      enabled: true,
      botToken: BOT_TOKEN,
      dmPolicy: 'disabled',
      groupPolicy: 'disabled',
      apiRoot: `http://127.0.0.1:${bot}`,
    },
  },
  models: {
    providers: {
      double: {
        baseUrl: `http://127.0.0.1:${provider}`,
        apiKey: 'k',
        api: 'anthropic-messages',
        request: { allowPrivateNetwork: true },
        models: [
          {
            id: 'm1',
            name: 'm1',
            contextWindow: 200_000,
            maxTokens: 1000,
            input: ['text'],
            reasoning: false,
            cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
          },
        ],
      },
    },
  },
  agents: { defaults: { model: { primary: 'double/m1' } } },
})

/** Starts both doubles; the configuration has a gateway use them. */
export async function startDoubles(): Promise<{ config: ReturnType<typeof configOf>; close: () => void }> {
  const [bot, provider] = [await serve(answerBot), await serve(refuseKey)]
  return {
    config: configOf(bot.port, provider.port),
    close() {
      for (const { server } of [bot, provider]) {
        server.closeAllConnections()
        server.close()
      }
    },
  }
}
