local _, refused = publish()
return refused or redis.status_reply('OK')
