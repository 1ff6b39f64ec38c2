// The Key Vault: the two secrets that there are. Everything else signs in by identity.
param name string
param location string
param tags object
param logsId string
param operatorAddresses array

@secure()
param recordsPassword string

@description('Secret of the application through which people sign in; empty: there is none yet.')
@secure()
param oidcClientSecret string

@description('Object ids of those who read the password of Dagster\'s records.')
param recordsReaders array

@description('Object ids of those who read the secret of the sign-in.')
param oidcReaders array

var secretsUser = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    publicNetworkAccess: empty(operatorAddresses) ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: 'Deny'
      bypass: 'AzureServices'
      ipRules: [for address in operatorAddresses: {
        value: address
      }]
    }
  }
}

resource recordsSecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  parent: vault
  name: 'dagster-postgres-password'
  properties: {
    contentType: 'password of the user dagster of PostgreSQL'
    value: recordsPassword
    attributes: {
      exp: 2145916800 // 2038: change it long before, as docs/operate/azure.md says
    }
  }
}

resource oidcSecret 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = if (!empty(oidcClientSecret)) {
  parent: vault
  name: 'oidc-client-secret'
  properties: {
    contentType: 'secret of the application through which people sign in'
    value: oidcClientSecret
    attributes: {
      exp: 2145916800
    }
  }
}

resource recordsRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principalId in recordsReaders: {
  scope: recordsSecret
  name: guid(recordsSecret.id, principalId, secretsUser)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: secretsUser
  }
}]

resource oidcRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principalId in oidcReaders: if (!empty(oidcClientSecret)) {
  scope: oidcSecret
  name: guid(vault.id, 'oidc-client-secret', principalId, secretsUser)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: secretsUser
  }
}]

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'logs'
  properties: {
    workspaceId: logsId
    logs: [
      {
        category: 'AuditEvent'
        enabled: true
      }
    ]
  }
}

output id string = vault.id
output name string = vault.name
