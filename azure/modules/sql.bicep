// Azure SQL for the tables of the product. People and identities sign in with Entra ID; there is no password at all.
param name string
param location string
param tags object
param logsId string

@description('Name of the Entra group of those who own the schema: administrators and the identity of the migration.')
param administratorName string

@description('Object id of that group.')
param administratorObjectId string

@description('Size: GP_S_Gen5_2 is serverless and rests when nobody asks; GP_Gen5_4 always answers at once.')
param sku string

@description('Minutes without work after which a serverless database rests; -1: never.')
param autoPauseMinutes int

@description('Days for which the database can be restored to any moment.')
@minValue(7)
@maxValue(35)
param backupDays int

resource server 'Microsoft.Sql/servers@2021-11-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    version: '12.0'
    minimalTlsVersion: '1.2'
    publicNetworkAccess: 'Disabled'
    restrictOutboundNetworkAccess: 'Disabled'
    administrators: {
      administratorType: 'ActiveDirectory'
      azureADOnlyAuthentication: true
      login: administratorName
      sid: administratorObjectId
      tenantId: subscription().tenantId
      principalType: 'Group'
    }
  }
}

resource database 'Microsoft.Sql/servers/databases@2021-11-01' = {
  parent: server
  name: 'chimp'
  location: location
  tags: tags
  sku: {
    name: sku
  }
  properties: {
    autoPauseDelay: startsWith(sku, 'GP_S') ? autoPauseMinutes : null
    minCapacity: startsWith(sku, 'GP_S') ? json('0.5') : null
    zoneRedundant: false
    requestedBackupStorageRedundancy: 'Geo'
    isLedgerOn: false
  }
}

resource restoreDays 'Microsoft.Sql/servers/databases/backupShortTermRetentionPolicies@2021-11-01' = {
  parent: database
  name: 'default'
  properties: {
    retentionDays: backupDays
  }
}

resource restoreYears 'Microsoft.Sql/servers/databases/backupLongTermRetentionPolicies@2021-11-01' = {
  parent: database
  name: 'default'
  dependsOn: [
    restoreDays
  ]
  properties: {
    monthlyRetention: 'P12M'
    yearlyRetention: 'P5Y'
    weekOfYear: 1
  }
}

resource encryption 'Microsoft.Sql/servers/databases/transparentDataEncryption@2021-11-01' = {
  parent: database
  name: 'current'
  properties: {
    state: 'Enabled'
  }
}

resource auditing 'Microsoft.Sql/servers/auditingSettings@2021-11-01' = {
  parent: server
  name: 'default'
  properties: {
    state: 'Enabled'
    isAzureMonitorTargetEnabled: true
    retentionDays: 120
  }
}

resource threats 'Microsoft.Sql/servers/securityAlertPolicies@2021-11-01' = {
  parent: server
  name: 'default'
  properties: {
    state: 'Enabled'
    emailAccountAdmins: true
  }
}

resource master 'Microsoft.Sql/servers/databases@2021-11-01' existing = {
  parent: server
  name: 'master'
}

// What auditing writes comes through the logs of the database master.
resource auditLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: master
  name: 'logs'
  properties: {
    workspaceId: logsId
    logs: [
      {
        category: 'SQLSecurityAuditEvents'
        enabled: true
      }
    ]
  }
}

resource databaseLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: database
  name: 'logs'
  properties: {
    workspaceId: logsId
    logs: [
      {
        category: 'Errors'
        enabled: true
      }
      {
        category: 'Deadlocks'
        enabled: true
      }
      {
        category: 'Timeouts'
        enabled: true
      }
    ]
  }
}

output id string = server.id
output host string = server.properties.fullyQualifiedDomainName
output databaseName string = database.name
