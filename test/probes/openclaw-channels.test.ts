import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { channelFaults } from '../../probes/openclaw-channels.ts'

/** An account as 2026.9.6 tells of it, seconds after it has started; the time is that of the answer. */
const NOW = 1_795_205_751_682
const account = {
  accountId: 'default',
  enabled: true,
  configured: true,
  running: true,
  connected: true,
  lifecycle: 'ready',
  lastStartAt: NOW - 65_000,
  lastTransportActivityAt: NOW - 2_000,
  restartPending: false,
  reconnectAttempts: 0,
  tokenStatus: 'available',
  mode: 'polling',
  lastError: null as string | null,
}
const answer = (changes: object, channel = 'telegram') => ({
  ts: NOW,
  channelAccounts: { [channel]: [{ ...account, ...changes }] },
})

/** What the real gateway says, word for word. */
const REFUSED =
  'Telegram bot token unauthorized for account "default" (getMe returned 401 from Telegram; source: config token). Update channels.telegram.botToken, channels.telegram.tokenFile, or TELEGRAM_BOT_TOKEN with the current BotFather token.'
const CONFLICT =
  'Telegram getUpdates conflict: Conflict: terminated by other getUpdates request; make sure that only one bot instance is running. Another OpenClaw gateway, script, or Telegram poller may be using this bot token; stop the duplicate poller or switch this account to webhook mode.'
const MUTED =
  'gateway restart-loop breaker tripped: 3 unclean boot(s) within 300000ms; suppressing channel/provider account auto-start. Inspect the stability bundle and fix the startup crash before restarting the service. Start a channel manually with: openclaw gateway call channels.start --params \'{"channel":"<id>"}\''

const trying = { connected: false, lifecycle: 'starting', lastTransportActivityAt: undefined }
const blocked = { connected: undefined, running: false, lifecycle: 'blocked', terminalDisconnect: true }

describe('the channels of a gateway', () => {
  const cases: [name: string, changes: object, fault: string | null][] = [
    ['one that is connected is well', {}, null],
    ['an error that is over does not count', { lastError: CONFLICT }, null],
    [
      'a dead token',
      { ...blocked, lastError: REFUSED },
      'its token is refused: put in a new one, a restart does not help',
    ],
    ['one that is shut off for no reason', blocked, 'it is shut off, and a restart does not help'],
    [
      'two that poll with one token',
      { ...trying, lifecycle: 'recovering', lastError: CONFLICT },
      'another program uses the same token: stop that one',
    ],
    [
      'a lost network',
      { ...trying, lastError: "Network request for 'getUpdates' failed!" },
      'no network to its service: it goes on trying',
    ],
    [
      'one that is muted after unclean starts',
      { ...blocked, terminalDisconnect: undefined, lastError: MUTED },
      'it is muted after unclean starts: leave it alone for 5 min, then restart it once',
    ],
    ['one that has just started', trying, null],
    [
      'one that has been starting for two minutes',
      { ...trying, lastStartAt: NOW - 120_000 },
      'it has not connected since its start: no network, or its service does not answer',
    ],
    [
      'one that was ended and is not started again',
      { connected: false, running: false, lifecycle: 'starting', lastStartAt: NOW - 400_000 },
      'it does not run, and nothing starts it',
    ],
    [
      'one that waits for its next start',
      { connected: false, running: false, lastStartAt: NOW - 400_000, restartPending: true },
      null,
    ],
    [
      'one that is connected and deaf',
      { lastTransportActivityAt: NOW - 121_000 },
      'it is connected, and has heard nothing for more than 2 min',
    ],
    ['one that waits for calls may hear nothing', { lastTransportActivityAt: 1, mode: 'webhook' }, null],
    ['one that does not tell whether it is connected', { connected: undefined, lastStartAt: 1 }, null],
    ['one that is switched off', { ...blocked, enabled: false, lastError: REFUSED }, null],
    ['one that is not set up', { ...blocked, configured: false }, null],
  ]
  for (const [name, changes, fault] of cases) {
    it(name, () =>
      assert.deepEqual(channelFaults(answer(changes)), fault === null ? [] : [`telegram: ${fault}`]),
    )
  }

  it('an error that is not known is told as it is, without a token that it quotes', () => {
    const lastError = 'POST https://api.telegram.org/bot123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0/getMe: odd'
    const [fault] = channelFaults(answer({ ...trying, lastError }))
    assert.equal(fault, 'telegram: POST https://api.telegram.org/(token)/getMe: odd')
  })

  it('each account and each channel is told by name', () => {
    const { channelAccounts } = answer({ accountId: 'work', ...blocked, lastError: REFUSED })
    const second = answer({ ...trying, lastError: 'bad gateway' }, 'signal').channelAccounts
    const faults = channelFaults({ ts: NOW, channelAccounts: { ...channelAccounts, ...second } })
    assert.deepEqual(faults, [
      'telegram (work): its token is refused: put in a new one, a restart does not help',
      'signal: bad gateway',
    ])
  })

  it('an answer without channels has no fault', () => {
    for (const payload of [null, {}, { ts: NOW, channelAccounts: {} }, { channelAccounts: { a: [blocked] } }])
      assert.deepEqual(channelFaults(payload), [])
  })
})
