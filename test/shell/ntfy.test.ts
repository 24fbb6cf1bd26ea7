import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { inspect } from 'node:util'
import type { Notice } from '../../supervisor/core/alert.ts'
import type { Message } from '../../supervisor/shell/alert-tables.ts'
import { ntfyDelivery } from '../../supervisor/shell/ntfy-channel.ts'
import { openSecrets } from '../../supervisor/shell/secrets.ts'

const NOTICE: Notice = {
  ...{ key: 'i1', thread: 'i1', kind: 'opened', op: 'send', severity: 'critical', sound: true },
  ...{ title: 'kb is down', lines: ['exit code 1', '/home/op/kb'], buttons: [], service: 'kb', wall: 1 },
}

function message(over: Partial<Notice> = {}): Message {
  const notice = { ...NOTICE, ...over }
  const { key, thread, kind, op, severity } = notice
  return {
    ...{ id: 1, channel: 'ntfy', key, thread, kind, op, severity, body: JSON.stringify(notice) },
    ...{ state: 'sending', attempts: 0, notBefore: 0, created: 0, awakeMs: 0 },
    ...{ sent: null, remote: null, error: null },
  }
}

type Asked = { method: string; path: string; body: string; authorization: string | undefined }

/** A server of ntfy's form below a path of its own; `answer` is its status and headers. */
async function serve(t: TestContext, answer: () => [status: number, headers?: Record<string, string>]) {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const part of request) body += part
    const { authorization } = request.headers
    asked.push({ method: request.method!, path: request.url!, body, authorization })
    response.writeHead(...answer()).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  process.env['NTFY_TEST_TOKEN'] = 'tk_a-token-of-a-test'
  const delivery = ntfyDelivery({
    url: `http://127.0.0.1:${port}/below/my-secret-topic`,
    token: '${env:NTFY_TEST_TOKEN}',
    secrets: openSecrets('/nowhere/env'),
    outside: (text) => text.replaceAll('/home/op', '~'),
  })
  return { asked, delivery }
}

const never = new AbortController().signal

describe('ntfy', { timeout: 60_000 }, () => {
  it('is told by JSON, with the priority of the severity, and the token in a header', async (t) => {
    const { asked, delivery } = await serve(t, () => [200])
    const outcome = await delivery.deliver(message(), null, never)
    assert.deepEqual(outcome, { kind: 'sent', remote: null, bug: null })
    const { body, ...rest } = asked[0]!
    assert.deepEqual(rest, { method: 'POST', path: '/below/', authorization: 'Bearer tk_a-token-of-a-test' })
    assert.deepEqual(JSON.parse(body), {
      topic: 'my-secret-topic',
      title: 'kb is down',
      message: 'exit code 1\n~/kb',
      priority: 5,
      tags: ['critical'],
    })
    await delivery.deliver(message({ kind: 'closed', sound: false, lines: [] }), null, never)
    const { priority, tags, message: text } = JSON.parse(asked[1]!.body)
    assert.deepEqual([priority, tags, text], [2, ['white_check_mark'], 'closed'])
  })

  it('is looked at without a message', async (t) => {
    const { asked, delivery } = await serve(t, () => [200])
    assert.equal((await delivery.check(never)).kind, 'sent')
    assert.deepEqual([asked[0]?.method, asked[0]?.path], ['GET', '/below/v1/health'])
  })

  it('a long text is cut to what ntfy takes as a message', async (t) => {
    const { asked, delivery } = await serve(t, () => [200])
    await delivery.deliver(message({ lines: ['€'.repeat(9_000)] }), null, never)
    assert.ok(Buffer.byteLength(JSON.parse(asked[0]!.body).message) <= 4_096)
  })

  for (const [status, kind] of [
    [429, 'wait'],
    [401, 'fault'],
    [403, 'fault'],
    [400, 'rejected'],
    [502, 'failed'],
  ] as const) {
    it(`an answer ${status} is ${kind}`, async (t) => {
      const { delivery } = await serve(t, () => [status, { 'retry-after': '7' }])
      const outcome = await delivery.deliver(message(), null, never)
      assert.equal(outcome.kind, kind)
      if (outcome.kind === 'wait') assert.equal(outcome.ms, 7_000)
    })
  }

  it('that cannot be reached says so without the address of the topic', async () => {
    const gone = createServer()
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve))
    const { port } = gone.address() as AddressInfo
    await new Promise((resolve) => gone.close(resolve))
    const delivery = ntfyDelivery({
      url: `http://127.0.0.1:${port}/my-secret-topic`,
      token: null,
      secrets: openSecrets('/nowhere/env'),
      outside: (text) => text,
    })
    const outcome = await delivery.deliver(message(), null, never)
    assert.ok(!inspect(outcome).includes('my-secret-topic'))
    assert.deepEqual(outcome, { kind: 'failed', reason: 'network', text: 'ECONNREFUSED' })
  })
})
