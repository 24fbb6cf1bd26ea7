import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unitIn } from '../../probes/process-table.ts'

const USER = '/user.slice/user-1000.slice/user@1000.service'

test('a process belongs to the innermost service of its cgroup, of the user or of the system', () => {
  const unit = 'openclaw-gateway.service'
  assert.deepEqual(unitIn(`0::${USER}/app.slice/${unit}\n`), { name: unit, isOfSystem: false })
  assert.deepEqual(unitIn(`0::${USER}/app.slice/${unit}/below\n`), { name: unit, isOfSystem: false })
  assert.deepEqual(unitIn(`12:pids:/x\n1:name=systemd:${USER}/${unit}\n`), { name: unit, isOfSystem: false })
  assert.deepEqual(unitIn(`0::/system.slice/${unit}\n`), { name: unit, isOfSystem: true })
})

test('a terminal, a container and the systemd of the user itself are no service', () => {
  assert.equal(unitIn(`0::${USER}/app.slice/vte-spawn-1.scope\n`), null)
  assert.equal(unitIn('0::/user.slice/user-1000.slice/session-3.scope\n'), null)
  assert.equal(unitIn(`0::${USER}/init.scope\n`), null)
  assert.equal(unitIn('0::/\n'), null)
  assert.equal(unitIn(''), null)
})
