import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { launchdJob, type PlistValue, plistEnvironment, renderPlist } from '../../launchd/plist.ts'

const PYTHON = '/usr/bin/python3'
const skip = existsSync(PYTHON) ? false : 'NOT RUN: no python3, whose plistlib is a strict parser'
const READ = 'import plistlib, json, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))'
const parsed = (text: string) =>
  JSON.parse(execFileSync(PYTHON, ['-c', READ], { input: text, encoding: 'utf8' }))

const settings = {
  label: 'dev.paios.supervisor',
  home: '/Users/mia/.paios',
  program: '/Users/mia/.paios/bin/paios-supervisor',
  bootLog: '/Users/mia/.paios/logs/supervisor/boot.log',
  path: '/opt/homebrew/bin:/usr/bin:/bin',
  lang: 'de_DE.UTF-8',
  userHome: '/Users/mia',
}

describe('the plist of our job', () => {
  it('is what a strict parser reads back, with odd characters in every text', { skip }, () => {
    const odd = { ...settings, home: '/Users/m & <a>/"q"/ü/$x', path: "/a&b:/c<d>:/e'f" }
    assert.deepEqual(parsed(renderPlist(launchdJob(odd))), launchdJob(odd))
  })

  it('is valid for every shape that it can render', { skip }, () => {
    const value: PlistValue = {
      text: 'a\r\nb\t',
      none: '',
      list: [],
      dict: {},
      numbers: [0, -7, 2 ** 40],
      yes: true,
      no: false,
    }
    assert.deepEqual(parsed(renderPlist(value)), value)
  })

  it('has only absolute paths, texts as variables, and more time to end than a hand-over takes', () => {
    const job = launchdJob(settings) as Record<string, never>
    for (const key of ['WorkingDirectory', 'StandardOutPath', 'StandardErrorPath'])
      assert.match(job[key]!, /^\//)
    assert.match(job['ProgramArguments']![0]!, /^\//)
    for (const value of Object.values(job['EnvironmentVariables']!)) assert.equal(typeof value, 'string')
    assert.ok(Number(job['ExitTimeOut']) > 30)
    assert.deepEqual(job['KeepAlive'], { SuccessfulExit: false })
    assert.equal(job['AbandonProcessGroup'], true)
  })

  it('has equal bytes for equal settings, and gives PATH and LANG back', () => {
    const text = renderPlist(launchdJob({ ...settings, path: '/a&b:/c<d>' }))
    assert.equal(text, renderPlist(launchdJob({ ...settings, path: '/a&b:/c<d>' })))
    assert.deepEqual(plistEnvironment(text), { path: '/a&b:/c<d>', lang: settings.lang })
    assert.equal(plistEnvironment('<plist/>'), null)
  })

  it('refuses what no plist can hold', () => {
    assert.throws(() => renderPlist('a\u0000b'), /control character/)
    assert.throws(() => renderPlist(1.5), /no whole number/)
  })
})
